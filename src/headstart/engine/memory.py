"""Memory that runs out: what tells it, and passes without gradients that go on in smaller pieces."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

import torch

from headstart.engine.feed import Micro

T = TypeVar("T")


def ran_out(error: Exception) -> bool:
    """Whether memory did: a GPU's has an error of its own, of a CPU's PyTorch tells in words alone."""
    return isinstance(error, torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error)


def fitting(micro: Micro, forward: Callable[[Micro], T]) -> Iterator[tuple[Micro, T]]:
    """What `forward` makes of a batch, or of its halves where the whole does not fit, down to single examples."""
    try:
        found = forward(micro)
    except RuntimeError as error:
        if not ran_out(error) or len(micro.positions) == 1:
            raise
    else:
        yield micro, found
        return
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    for half in micro.cut(2):
        yield from fitting(half, forward)
