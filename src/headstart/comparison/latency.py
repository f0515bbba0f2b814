"""How long one example takes, of several models measured in turns."""

from __future__ import annotations

import time
from collections.abc import Callable

ROUNDS = 3
"turns in which models are measured one after another: a machine that warms up or is busy does so for all alike"


def latencies(run: Callable[[int], object], count: int = 30, warmup: int = 3) -> list[float]:
    """Seconds of `run(i)` for i in 0 … count - 1 each, after some calls that are not counted."""
    for i in range(warmup):
        run(i)
    times = []
    for i in range(count):
        start = time.perf_counter()
        run(i)
        times.append(time.perf_counter() - start)
    return times
