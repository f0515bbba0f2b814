"""How long one example takes."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable


def latency(run: Callable[[int], object], count: int = 30, warmup: int = 3) -> float:
    """Median seconds of `run(i)` for i in 0 … count - 1, after some calls that are not counted."""
    for i in range(warmup):
        run(i)
    times = []
    for i in range(count):
        start = time.perf_counter()
        run(i)
        times.append(time.perf_counter() - start)
    return statistics.median(times)
