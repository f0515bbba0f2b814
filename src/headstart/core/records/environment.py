"""The environment of a run: versions, machine, device and precision."""

from __future__ import annotations

from dataclasses import dataclass

from headstart.core.records.record import Record


@dataclass(frozen=True)
class EnvironmentRecord(Record):
    headstart: str
    python: str
    libraries: dict[str, str]
    platform: str
    processor: str
    cores: int
    memory_bytes: int
    device: str
    precision: str
    started: str
    "UTC, ISO 8601"
    accelerator: str = ""
    "the GPU's name"
    cuda: str = ""
    "CUDA version of PyTorch, on a GPU"
    numerics: tuple[str, ...] = ()
    "known numerical differences of this kind of device"
