"""Units of a module tree: the modules that a ladder does not split further."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from torch import nn

_CONTAINERS: tuple[type[nn.Module], ...] = (nn.Sequential, nn.ModuleList, nn.ModuleDict)


@dataclass(frozen=True)
class Unit:
    """A module that the ladder does not split further."""

    path: str
    module: nn.Module
    container: str
    "path of its innermost container, or empty"
    chain: str
    "path of the module with its outermost container; two owners make two chains"

    @property
    def is_block(self) -> bool:
        """True if it comes from a container and has at least two weight matrices in at least two leaves."""
        return bool(self.container) and _has_children(self.module) and _matrices(self.module) >= 2


def _has_children(module: nn.Module) -> bool:
    return any(True for _ in module.children())


def size(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def _matrices(module: nn.Module) -> int:
    """Leaves with a weight of at least two dimensions."""
    return sum(
        any(p.dim() >= 2 for p in m.parameters(recurse=False))
        for m in module.modules()
        if not isinstance(m, nn.MultiheadAttention)
    ) + sum(isinstance(m, nn.MultiheadAttention) for m in module.modules())


def _is_container(module: nn.Module) -> bool:
    return type(module) in _CONTAINERS


def opened(root: nn.Module) -> list[Unit]:
    """Splits the tree from the root, as `find_ladder` describes."""
    counts: dict[type, int] = defaultdict(int)
    for m in root.modules():
        counts[type(m)] += 1
    units: list[Unit] = []

    def visit(path: str, module: nn.Module, owner: str, container: str, chain: str | None) -> None:
        if _is_container(module):
            opens = type(module) is not nn.Sequential or any(_has_children(c) for c in module.children())
            opens = opens or module is root
        else:
            # one element is enough, so that a model reduced to one block has the same ladder
            opens = module is root or _should_open(module, counts[type(module)] > 1 or bool(container))
        if not opens:
            units.append(Unit(path, module, container, chain or ""))
            return
        inside = path if _is_container(module) else ""
        owner = owner if _is_container(module) else path
        for name, child in module.named_children():
            child_chain = chain if chain is not None else (owner if _is_container(module) else None)
            visit(f"{path}.{name}" if path else name, child, owner, inside or container, child_chain)

    visit("", root, "", "", None)
    return units


def _should_open(module: nn.Module, repeated: bool) -> bool:
    """True if a container inside holds most of the parameters, and the module is unique or a stage of blocks."""
    total = size(module)
    if total == 0:
        return False
    if not repeated:
        inside = sum(size(m) for m in _outermost_containers(module))
        return 2 * inside >= total
    stacks = [c for c in module.children() if _is_container(c) and 2 * size(c) >= total]
    for stack in stacks:
        elements = [e for e in stack.children() if size(e)]
        alike = len({type(e) for e in elements}) == 1
        if alike and all(_has_children(e) and _matrices(e) >= 2 for e in elements):
            return True
    return False


def _outermost_containers(module: nn.Module) -> list[nn.Module]:
    found: list[nn.Module] = []
    for child in module.children():
        found.extend([child] if _is_container(child) else _outermost_containers(child))
    return found


def leaves(root: nn.Module) -> list[Unit]:
    """Leaf modules and composite layers: attention, recurrence, a norm with its activation."""
    units: list[Unit] = []

    def visit(path: str, module: nn.Module) -> None:
        own = sum(p.numel() for p in module.parameters(recurse=False))
        whole = isinstance(module, (nn.MultiheadAttention, nn.RNNBase)) or (own and own == size(module))
        if not _has_children(module) or whole:
            units.append(Unit(path, module, "", ""))
            return
        for name, child in module.named_children():
            visit(f"{path}.{name}" if path else name, child)

    visit("", root)
    return units
