"""Lack of memory: how it is recognised, and how a step or a pass continues in smaller pieces."""

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
    """True for an error of memory: a GPU has a class for it, a CPU only a message."""
    return isinstance(error, torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error)


def fitting(micro: Micro, forward: Callable[[Micro], T]) -> Iterator[tuple[Micro, T]]:
    """`forward` of a batch, or of its halves if the whole does not fit, down to single examples."""
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
    """`forward` of a whole feed, in batches of like length, each halved if it does not fit."""
    batches = ([b] for b in sorted_batches(feed.costs, batch_tokens, max_count=256))
    for (micro,) in feed.micros(batches, early=early):
        yield from fitting(micro, forward)


@dataclass
class Room:
    """Measures against a lack of memory, which a training keeps once they were needed."""

    parts: int = 1
    "number of parts in which each batch of a step goes through the model"
    frugal: contextlib.ExitStack | None = None
    "context of gradient checkpointing, if it is on"

    def make(self, job: Job, largest: int) -> bool:
        """Takes the next measure; False if none is left. largest: examples of the largest batch."""
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
