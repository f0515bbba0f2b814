"""Device and precision (mixed precision with bf16)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from headstart.core.environment import environment
from headstart.core.errors import ConfigurationError, unknown
from headstart.core.records.environment import EnvironmentRecord

ATTENTION = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]


@dataclass(frozen=True)
class Compute:
    """A device and a number format: matrix products in bf16 under autocast, everything else in fp32."""

    device: torch.device
    bf16: bool

    @property
    def precision(self) -> str:
        return "bf16" if self.bf16 else "fp32"

    @property
    def dtype(self) -> torch.dtype:
        return torch.bfloat16 if self.bf16 else torch.float32

    @property
    def early(self) -> bool:
        """True if a thread prepares batches while the model computes; on a CPU it would slow the model."""
        return self.device.type == "cuda"

    @contextlib.contextmanager
    def autocast(self) -> Iterator[None]:
        """Autocast: matrix products in this precision.

        On a GPU without cuDNN's attention, because it plans again for each new shape, and texts bring many.
        """
        with contextlib.ExitStack() as stack:
            if self.device.type == "cuda":
                stack.enter_context(sdpa_kernel(ATTENTION))
            stack.enter_context(torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.bf16))
            yield


def surroundings(compute: Compute) -> EnvironmentRecord:
    """The environment of a run, for its record: libraries, processor, GPU, and numerics that differ by device."""
    kind, gpu = compute.device.type, compute.device.type == "cuda"
    numerics = {
        "cpu": (
            "AdamW moves the rows of an embedding table that occur in the batch, no others",
            "dropout of probability p drops round(256 p) / 256 of the elements",
        ),
        "cuda": ("AdamW moves all rows of an embedding table", "sums in kernels are not ordered: runs differ in bits"),
        "mps": ("AdamW moves all rows of an embedding table", "heads are solved in float64 on the CPU"),
    }
    name = torch.cuda.get_device_name(compute.device) if gpu else ""
    version = str(torch.version.cuda or torch.version.hip or "") if gpu else ""
    return environment(str(compute.device), compute.precision, name, version, numerics.get(kind, ()))


def compute(device: str | None = None, precision: str | None = None) -> Compute:
    """The device (`auto`, `cpu`, `cuda`, `cuda:1`, `mps`) and precision (`auto`, `fp32`, `bf16`) to use.

    `auto` takes a GPU if the machine has one, and bf16 if the processor multiplies in it.
    """
    device = device or "auto"
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    kind = device.partition(":")[0]
    if kind not in ("cpu", "cuda", "mps"):
        raise unknown("device", device, ["auto", "cpu", "cuda", "mps"])
    if (kind == "cuda" and not torch.cuda.is_available()) or (kind == "mps" and not torch.backends.mps.is_available()):
        raise ConfigurationError(f"device {device!r} is not available on this machine; use --device cpu or auto.")
    if precision not in (None, "auto", "fp32", "bf16"):
        raise unknown("precision", precision, ["auto", "fp32", "bf16"])
    bf16 = precision == "bf16" or (precision in (None, "auto") and _multiplies_bf16(kind))
    return Compute(torch.device(device), bf16)


def _multiplies_bf16(kind: str) -> bool:
    if kind == "cuda":
        return torch.cuda.is_bf16_supported()
    if kind == "cpu":
        return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    return False
