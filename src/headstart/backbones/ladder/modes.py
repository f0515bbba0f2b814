"""Training and evaluation mode of a model's parts."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from torch import nn

from headstart.backbones.ladder.ladder import Ladder


@contextlib.contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """All parts in eval mode; on exit each is in the mode it was in."""
    modes = {part: part.training for part in module.modules()}
    module.eval()
    try:
        yield
    finally:
        for part, mode in modes.items():
            part.training = mode


def train_above(module: nn.Module, ladder: Ladder, cut: int) -> None:
    """Training mode above the cut, eval mode for all that lies below it, in which the states of a cache are computed.

    A part trains where it lies in a rung above the cut, or holds such rungs alone: a module around rungs on both sides
    may drop out values below the cut by its own forward. At the top of the ladder nothing trains.
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
    """Paths of the modules around this one, the root's empty one included."""
    while path:
        path = path.rpartition(".")[0]
        yield path
