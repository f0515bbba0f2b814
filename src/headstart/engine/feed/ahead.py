"""Preparing ahead: batches are made in a thread while the model is at work on those before."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")


def ahead(make: Callable[[A], B], plans: Iterable[A], depth: int = 4) -> Iterator[B]:
    """`make` of each plan in order, up to `depth` of them made before they are asked for; its errors are raised."""
    source = iter(plans)
    with ThreadPoolExecutor(1) as thread:
        waiting: deque[Future[B]] = deque(thread.submit(make, plan) for plan in itertools.islice(source, depth))
        try:
            while waiting:
                done = waiting.popleft().result()
                for plan in itertools.islice(source, 1):
                    waiting.append(thread.submit(make, plan))
                yield done
        finally:
            for future in waiting:
                future.cancel()
