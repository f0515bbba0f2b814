"""Memory that runs out: what tells it, and how a step or a pass goes on in smaller pieces."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import torch

from headstart.data.batching import sorted_batches
from headstart.engine.feed.feed import Feed
from headstart.engine.feed.micro import Micro
from headstart.engine.job import Job

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


def passes(feed: Feed, batch_tokens: int, early: bool, forward: Callable[[Micro], T]) -> Iterator[tuple[Micro, T]]:
    """What `forward` makes of a whole feed, in batches of like length, each cut where it does not fit."""
    batches = ([b] for b in sorted_batches(feed.costs, batch_tokens, max_count=256))
    for (micro,) in feed.micros(batches, early=early):
        yield from fitting(micro, forward)


@dataclass
class Room:
    """How what does not fit into memory is made to fit."""

    parts: int = 1
    "in which a step's batches go through the model one after the other"
    frugal: contextlib.ExitStack | None = None
    "open while activations are computed again instead of kept"

    def make(self, job: Job, largest: int) -> bool:
        """Takes the next measure; False where there is none left. largest: examples of the largest batch."""
        if self.parts < largest:
            self.parts *= 2
        elif self.frugal is None and (context := job.recomputing()) is not None:
            self.frugal = contextlib.ExitStack()
            self.frugal.enter_context(context)
        else:
            return False
        return True

    def note(self) -> str:
        again = ", and activations were computed again instead of kept" if self.frugal else ""
        return f"memory ran out: what goes through the model at once was cut into {self.parts} parts{again}"

    def close(self) -> None:
        if self.frugal is not None:
            self.frugal.close()
