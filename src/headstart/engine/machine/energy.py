"""Energy of a piece of work, where the machine reports it: NVIDIA's counter for a GPU, RAPL for a processor."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

RAPL = Path("/sys/class/powercap")


@dataclass
class Energy:
    joules: float | None = None
    "None where nothing reports it"


@contextlib.contextmanager
def energy(device: torch.device) -> Iterator[Energy]:
    """Fills in the joules when the context ends; what else runs on the machine counts too."""
    found = Energy()
    before = _counters(device)
    yield found
    after = _counters(device)
    spent = [_spent(before[name], after[name]) for name in before.keys() & after.keys()]
    found.joules = sum(spent) or None  # counters that did not move have not been read anew yet


def _spent(before: tuple[float, float], after: tuple[float, float]) -> float:
    """Joules between two readings of a counter that begins anew at its range; each is (joules, range)."""
    used = after[0] - before[0]
    return used if used >= 0 else used + after[1]


def _counters(device: torch.device) -> dict[str, tuple[float, float]]:
    if device.type == "cuda":
        try:
            import pynvml

            pynvml.nvmlInit()
            # by what the card is called: the library counts cards that CUDA_VISIBLE_DEVICES hides
            handle = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{torch.cuda.get_device_properties(device).uuid}")
            return {"gpu": (pynvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1e3, 0.0)}
        except Exception:  # the library or the counter is not there
            return {}
    found = {}
    for zone in RAPL.glob("*-rapl:[0-9]"):  # packages; their parts lie below
        with contextlib.suppress(OSError, ValueError):
            if (zone / "name").read_text().strip() == "psys":  # the whole board, packages and all
                continue
            now, most = (float((zone / name).read_text()) / 1e6 for name in ("energy_uj", "max_energy_range_uj"))
            found[zone.name] = (now, most)
    return found
