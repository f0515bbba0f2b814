"""Latency of one example, for several models measured in turns."""

from __future__ import annotations

import time
from collections.abc import Callable

ROUNDS = 3
"number of rounds over all models, so that a busy or warming machine affects all alike"


def latencies(run: Callable[[int], object], count: int = 30, warmup: int = 3) -> list[float]:
    """Seconds of `run(i)` for each i in 0 … count - 1, after some warm-up calls."""
    for i in range(warmup):
        run(i)
    times = []
    for i in range(count):
        start = time.perf_counter()
        run(i)
        times.append(time.perf_counter() - start)
    return times
