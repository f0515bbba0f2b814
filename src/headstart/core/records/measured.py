"""What was measured of the methods: the record behind `headstart methods` and docs/methods.md."""

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
    "of all parameters of the model with its head and what the method added"
    peak_memory_bytes: int | None = None
    "of the process while it trained"
    step_seconds: float | None = None
    "median over repeats of one step of 32 examples; for a head that is solved, of the whole solution"
    artifact_bytes: int | None = None
    latency_seconds: float | None = None
    "median for one example, as trained"
    merged_latency_seconds: float | None = None
    "after merging into plain layers; None where the method can't be merged, or has nothing to merge"
    mergeable: bool | None = None
    quality: dict[str, Quality] = field(default_factory=dict)
    "by task"
    kinds: dict[str, str] = field(default_factory=dict)
    "kind of backbone to `yes`, or to the error of the method; a kind that was not tried is missing"
    elsewhere: str = ""
    "the model the costs are of, where the measured one has no place for the method"
    elsewhere_base_latency_seconds: float | None = None
    "median for one example of that model alone"


@dataclass(frozen=True)
class MeasuredMethods(Record):
    model: str
    base_latency_seconds: float
    tasks: tuple[str, ...]
    kinds: tuple[str, ...]
    facts: tuple[Facts, ...]
    environment: dict[str, Any]
    sources: tuple[str, ...] = ()
    "the files of results from which qualities are taken"
    note: str = ""
    schema: str = SCHEMA

    def of(self, method: str) -> Facts | None:
        return next((facts for facts in self.facts if facts.method == method), None)
