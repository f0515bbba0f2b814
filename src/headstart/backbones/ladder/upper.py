"""The upper rungs of a ladder: drawn anew, or left out."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import nn

from headstart.backbones.backbone import Backbone
from headstart.backbones.ladder.ladder import Ladder
from headstart.backbones.ladder.modes import evaluating
from headstart.core.errors import ModelError

ENDS = ("embeddings", "stem", "final", "vocabulary")
"rungs that are no blocks"


def lowest_of(ladder: Ladder, count: int, below: int = 0) -> int:
    """Index of the lowest of the `count` highest blocks under the `below` highest.

    What runs after the blocks (`final`) counts as part of the highest. Raises `ModelError` if there are not so many.
    """
    blocks = [index for index, rung in enumerate(ladder.rungs) if rung.name not in ENDS]
    if not 0 <= below + count < len(blocks):
        raise ModelError(f"{below + count} blocks are asked for, but of the model's {len(blocks)} one has to stay.")
    return blocks[len(blocks) - below - count] if count else len(ladder)


def redraw(module: nn.Module, ladder: Ladder, rungs: Sequence[int], reinitialise: Callable[[nn.Module], None]) -> None:
    """Gives these rungs random weights and buffers, as the architecture prescribes; all other rungs keep theirs."""
    chosen = [ladder.rungs[index] for index in rungs]
    names = {name for rung in chosen for name in rung.parameters}
    below = tuple(f"{path}." for rung in chosen for path in rung.modules)
    kept = {
        name: value.detach().clone()
        for name, value in [*module.named_parameters(), *module.named_buffers()]
        if len(chosen) < len(ladder) and name not in names and not name.startswith(below)
    }
    reinitialise(module)
    with torch.no_grad():
        for name, value in [*module.named_parameters(), *module.named_buffers()]:
            if name in kept:
                value.copy_(kept[name])


@contextlib.contextmanager
def left_out(module: nn.Module, paths: Sequence[str]) -> Iterator[None]:
    """Inside the context, the modules at these paths are out of their containers; they return to their places."""
    taken: list[tuple[nn.Module, dict[str, nn.Module | None]]] = []
    try:
        for path in paths:
            parent, _, name = path.rpartition(".")
            container = module.get_submodule(parent)
            taken.append((container, dict(container._modules)))
            del container._modules[name]
        yield
    finally:
        for container, before in reversed(taken):
            container._modules.clear()
            container._modules.update(before)


def droppable(backbone: Backbone, count: int) -> tuple[str, ...]:
    """Paths of the `count` highest blocks, from the highest on.

    Raises `ModelError` if the model can't do without them: they lie in no container, or change the size of what
    they get.
    """
    lowest = lowest_of(backbone.ladder, count)
    rungs = [rung for rung in backbone.ladder.rungs[lowest:] if rung.name not in ENDS]
    paths = tuple(path for rung in reversed(rungs) for path in reversed(rung.modules))
    module, batch = backbone.module, backbone.probes()[0]
    for path in paths:
        if not isinstance(module.get_submodule(path.rpartition(".")[0]), (nn.ModuleList, nn.Sequential)):
            raise ModelError(f"{path} lies in no list of blocks: it can't be left out.")
    try:
        with torch.no_grad(), evaluating(module):
            before = backbone.features(batch)
            with left_out(module, paths):
                after = backbone.features(batch)
    except Exception as error:
        told = f"without its {count} highest blocks the model fails with {type(error).__name__}: {error}"
        raise ModelError(told[:300]) from error
    if after.shape != before.shape:
        raise ModelError(
            f"without its {count} highest blocks the model has {after.shape[-1]} features, not {before.shape[-1]}: one "
            "of these blocks changes the size. Leave out fewer."
        )
    if bool((after == before).all()):
        raise ModelError(f"without its {count} highest blocks the features are the same: nothing reads them.")
    return paths
