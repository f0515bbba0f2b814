"""The meter: seconds and peak memory of a piece of work."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch


@dataclass
class Reading:
    seconds: float = 0.0
    peak_memory_bytes: int | None = None
    "peak memory of the process (on a GPU: of its allocator) during the work, with all that it held before"


@contextlib.contextmanager
def meter(device: torch.device) -> Iterator[Reading]:
    """Fills the reading when the context ends."""
    reading = Reading()
    _reset(device)
    start = time.perf_counter()
    try:
        yield reading
    finally:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        reading.seconds = time.perf_counter() - start
        reading.peak_memory_bytes = _peak(device)


def _reset(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # Linux: begin the high-water mark anew


def _peak(device: torch.device) -> int | None:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak: int = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
