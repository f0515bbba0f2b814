"""Environment of a run for its record: versions of libraries, processor, memory."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
from pathlib import Path

from headstart.core.records.environment import EnvironmentRecord

LIBRARIES = ("torch", "torchvision", "transformers", "timm", "datasets", "scikit-learn", "numpy", "safetensors")


def environment(
    device: str, precision: str, accelerator: str = "", cuda: str = "", numerics: tuple[str, ...] = ()
) -> EnvironmentRecord:
    return EnvironmentRecord(
        headstart=importlib.metadata.version("headstart"),
        python=platform.python_version(),
        libraries=libraries(),
        platform=platform.platform(),
        processor=_processor(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 0,
        device=device,
        precision=precision,
        started=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        accelerator=accelerator,
        cuda=cuda,
        numerics=numerics,
    )


def libraries() -> dict[str, str]:
    """Versions of the libraries that results depend on."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
