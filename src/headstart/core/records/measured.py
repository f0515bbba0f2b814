"""Record of measurements of the methods, behind `headstart methods` and docs/methods.md."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from headstart.core.records.record import Record

SCHEMA = "headstart.methods/1"


@dataclass(frozen=True)
class Quality(Record):
    """A method's value on the test split of one task, mean over seeds, with a 95 % interval."""

    value: float
    low: float
    high: float
    seeds: int


@dataclass(frozen=True)
class Facts(Record):
    """One method, at its defaults, on the measured model."""

    method: str
    trained_share: float | None = None
    "trained share of all parameters, including the head and added ones"
    peak_memory_bytes: int | None = None
    "peak memory of the process in training, in bytes"
    step_seconds: float | None = None
    "median duration of a step of 32 examples, or of the whole solution of a head, in seconds"
    artifact_bytes: int | None = None
    latency_seconds: float | None = None
    "median latency of one example as trained, in seconds"
    merged_latency_seconds: float | None = None
    "latency after merging, in seconds; None if the method can't be merged or has nothing to merge"
    mergeable: bool | None = None
    quality: dict[str, Quality] = field(default_factory=dict)
    "qualities by task"
    kinds: dict[str, str] = field(default_factory=dict)
    "`yes` or the method's error, by kind of backbone; untried kinds are missing"
    elsewhere: str = ""
    "model of the costs, if the method does not fit the measured one"
    elsewhere_base_latency_seconds: float | None = None
    "median latency of one example of that model without the method, in seconds"


@dataclass(frozen=True)
class MeasuredMethods(Record):
    model: str
    base_latency_seconds: float
    tasks: tuple[str, ...]
    kinds: tuple[str, ...]
    facts: tuple[Facts, ...]
    environment: dict[str, Any]
    sources: tuple[str, ...] = ()
    "result files of the qualities"
    note: str = ""
    schema: str = SCHEMA

    def of(self, method: str) -> Facts | None:
        return next((facts for facts in self.facts if facts.method == method), None)
