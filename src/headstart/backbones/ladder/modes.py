"""Train and eval mode of the parts of a model."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from torch import nn

from headstart.backbones.ladder.ladder import Ladder


@contextlib.contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Eval mode inside the context; on exit each part has its former mode."""
    modes = {part: part.training for part in module.modules()}
    module.eval()
    try:
        yield
    finally:
        for part, mode in modes.items():
            part.training = mode


def train_above(module: nn.Module, ladder: Ladder, cut: int) -> None:
    """Train mode above the cut, eval mode below it, because cached states are computed in eval mode.

    A part is in train mode if it lies in a rung above the cut, or holds only such rungs; a module around rungs on both
    sides could apply dropout below the cut. With the cut at the top, all parts are in eval mode.
    """
    top = len(ladder)
    module.train(cut < top)
    if not 0 < cut < top:
        return
    upper = {path for rung in ladder.rungs[cut:] for path in rung.modules} | set(ladder.tail)
    around_lower, around_upper = (
        {parent for path in paths for parent in _parents(path)}
        for paths in ([path for rung in ladder.rungs[:cut] for path in rung.modules], upper)
    )
    for path, part in module.named_modules():
        inside = path in upper or not upper.isdisjoint(_parents(path))
        part.training = inside or (path in around_upper and path not in around_lower)


def _parents(path: str) -> Iterator[str]:
    """Paths of the modules around this one, including the empty path of the root."""
    while path:
        path = path.rpartition(".")[0]
        yield path
