"""Finds a ladder by structure: the chain of similar blocks, and the modules before and after it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

import torch
from torch import Tensor, nn

from headstart.backbones.ladder.ladder import Ladder, Rung
from headstart.backbones.ladder.observation import Observation, observe
from headstart.backbones.ladder.sites import find_sites, is_norm
from headstart.backbones.ladder.units import Unit, leaves, opened, size
from headstart.core.errors import ModelError

Runner = Callable[[], Tensor]
"runs the whole module on a small batch and returns the pooled features"

COMPARABLE = 0.1
"a model is ambiguous if a second chain has this share of the first one's parameters"


def find_ladder(module: nn.Module, run: Runner | None = None, blocks: str | None = None) -> Ladder:
    """The ladder of a module.

    The module tree is split from the root into units. Containers split into their elements; another module splits if a
    container inside holds most of its parameters and it is not one of many similar modules (stages split, because the
    elements of their containers are similar blocks). Units from containers with at least two weight matrices are
    blocks, one rung each. Modules before the first block are the rung `embeddings` or `stem`, those between two blocks
    join the next block, those after the last are `final`. A model without blocks has one rung per layer.

    run: runs the module once on a small batch. Units are then in the order of their calls instead of registration, and
        units without a call are placed by their gradient (`_unrun`).
    blocks: path of the container of the blocks, for a model with several chains.

    Raises `ModelError` if there are two chains of similar size, or if `blocks` matches none.
    """
    if not any(True for _ in module.parameters()):
        raise ModelError(f"{type(module).__name__} has no parameters, so there is nothing to adapt.")
    units = opened(module)
    seen = observe(module, [u.path for u in units], run) if run is not None else None
    chain = _choose(units, blocks)
    if not chain:
        units = leaves(module)
        seen = observe(module, [u.path for u in units], run) if run is not None else None
        groups = _plain(_ordered(units, seen))
    else:
        groups = _group(_ordered(units, seen), chain)
    return _ladder(module, groups, seen, chain)


# ------------------------------------------------------------------------------------------- choosing the chain
def _choose(units: list[Unit], blocks: str | None) -> set[str]:
    """Paths of the units that are blocks."""
    candidates: dict[str, list[Unit]] = defaultdict(list)
    for unit in units:
        if unit.is_block:
            candidates[unit.chain].append(unit)
    if blocks is not None:
        wanted = blocks.strip(".")
        chosen = {u.path for u in units if u.container == wanted or u.container.startswith(f"{wanted}.")}
        if not chosen or not wanted:
            raise ModelError(f"blocks={blocks!r} matches no chain of blocks in this model.{_list(candidates)}")
        return chosen
    ranked = sorted(candidates.values(), key=lambda c: -sum(size(u.module) for u in c))
    if not ranked:
        return set()
    largest = sum(size(u.module) for u in ranked[0])
    if len(ranked) > 1 and sum(size(u.module) for u in ranked[1]) > COMPARABLE * largest:
        example = _containers(ranked[0])
        raise ModelError(
            "this model has more than one chain of blocks, so its ladder is ambiguous."
            f"{_list(candidates)}\nChoose one: blocks={example!r} (on the command line: --blocks {example})."
        )
    return {u.path for u in ranked[0]}


def _containers(chain: list[Unit]) -> str:
    """The longest path that all containers of a chain share."""
    parts = [u.container.split(".") for u in chain]
    shared = parts[0]
    for other in parts[1:]:
        shared = [a for a, b in zip(shared, other) if a == b]
    return ".".join(shared) or chain[0].container


def _list(candidates: dict[str, list[Unit]]) -> str:
    lines = [
        f"\n  {_containers(chain)}: {len(chain)} blocks, {sum(size(u.module) for u in chain):,} parameters"
        for chain in candidates.values()
    ]
    return f" Candidates:{''.join(lines)}" if lines else " It has no chain of blocks at all."


# ------------------------------------------------------------------------------------------------- making rungs
def _ordered(units: list[Unit], seen: Observation | None) -> list[Unit]:
    if seen is None:
        return units
    return sorted(units, key=lambda u: seen.first.get(u.path, len(seen.first)))


def _plain(units: list[Unit]) -> list[tuple[str, list[Unit]]]:
    """One rung per layer; norms and layers without parameters join the layer before them."""
    groups: list[tuple[str, list[Unit]]] = []
    lead: list[Unit] = []
    for unit in units:
        if size(unit.module) and not (groups and is_norm(unit.module)):
            groups.append((unit.path or "all", [*lead, unit]))
            lead = []
        elif groups:
            groups[-1][1].append(unit)
        else:
            lead.append(unit)
    return groups


def _group(units: list[Unit], chain: set[str]) -> list[tuple[str, list[Unit]]]:
    first = next(i for i, u in enumerate(units) if u.path in chain)
    last = max(i for i, u in enumerate(units) if u.path in chain)
    lead = units[:first]
    embeds = any(isinstance(m, nn.Embedding) and m.num_embeddings > 2 for u in lead for m in u.module.modules())
    images = any(isinstance(m, (nn.Conv2d, nn.Conv3d)) for u in lead for m in u.module.modules())
    groups = [("embeddings" if embeds and not images else "stem", lead)]
    waiting: list[Unit] = []
    for unit in units[first : last + 1]:
        waiting.append(unit)
        if unit.path in chain:
            groups.append((unit.path, waiting))
            waiting = []
    groups.append(("final", units[last + 1 :]))
    return groups


def _ladder(root: nn.Module, groups: list[tuple[str, list[Unit]]], seen: Observation | None, chain: set[str]) -> Ladder:
    """The rungs, with each parameter on exactly one, and their sites."""
    place: dict[str, int] = {}  # path of a unit -> rung
    for index, (_, units) in enumerate(groups):
        for unit in units:
            place[unit.path] = _unrun(unit, seen, index, len(groups))
    owners: dict[torch.Tensor, int] = {}
    names: dict[torch.Tensor, str] = {}
    for name, parameter in root.named_parameters(remove_duplicate=False):
        rung = _rung_of(place, name)
        names.setdefault(parameter, name)
        # parameters directly on the root or on a split module (class token, positions) belong to the lowest rung
        owners[parameter] = min(owners.get(parameter, len(groups)), 0 if rung is None else rung)
    rungs: list[Rung] = []
    tail: tuple[str, ...] = ()
    renumbered: dict[int, int] = {}
    for index, (name, units) in enumerate(groups):
        parameters = tuple(names[p] for p, rung in owners.items() if rung == index)
        on_stream = tuple(u.path for u in units if place[u.path] == index and _on_stream(u, seen))
        if parameters or (on_stream and name not in ("stem", "embeddings", "final")):
            renumbered[index] = len(rungs)
            rungs.append(Rung(name, on_stream, parameters))
        elif name == "final":
            tail = on_stream
    assert sorted(n for r in rungs for n in r.parameters) == sorted(n for n, _ in root.named_parameters())
    blocks = {renumbered[i] for i, (name, _) in enumerate(groups) if name in chain and i in renumbered}
    # not in an unused pooler, because an adapter there would change nothing
    idle = tuple(f"{u.path}." for _, units in groups for u in units if u.path and _is_idle(u, seen))

    def site_rung(path: str) -> int | None:
        if f"{path}.".startswith(idle):
            return None
        rung = _rung_of(place, f"{path}.")
        return None if rung is None else renumbered.get(rung)

    return Ladder(tuple(rungs), tuple(find_sites(root, site_rung, blocks)), tail)


def _rung_of(place: dict[str, int], name: str) -> int | None:
    path = name
    while path:
        path = path.rpartition(".")[0]
        if path in place:
            return place[path]
    return place.get("")


def _unrun(unit: Unit, seen: Observation | None, index: int, count: int) -> int:
    """The rung of a unit; units that never ran are placed by their gradient.

    With a gradient, the unit is read by other modules (DeBERTa's relative embeddings), perhaps by all, so it joins the
    lowest rung. Without one (an unused pooler), it joins the highest rung, where it affects no cut.
    """
    if seen is None or unit.path in seen.first or not size(unit.module):
        return index
    return 0 if seen.influences(unit.module) else count - 1


def _is_idle(unit: Unit, seen: Observation | None) -> bool:
    """True if the unit does not affect the features, even if it runs."""
    return seen is not None and bool(size(unit.module)) and not seen.influences(unit.module)


def _on_stream(unit: Unit, seen: Observation | None) -> bool:
    """True if the activations flow through the unit, so that a cut above must replace it."""
    if seen is None:
        # a module with only buffers (rotary positions) runs beside the stream
        return bool(size(unit.module)) or not any(True for _ in unit.module.buffers())
    return unit.path in seen.stream
