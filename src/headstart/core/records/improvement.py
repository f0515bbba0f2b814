"""The record of improving a run: what was proposed, on what evidence, and whether it helped."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from headstart.core.records.comparison import EnvironmentRecord
from headstart.core.records.record import Record
from headstart.core.showing import Showing

SCHEMA = "headstart.improvement/1"


@dataclass(frozen=True)
class Proposal(Record):
    """One change worth trying, or worth the user's time. What is tried has at least one of the last three fields."""

    name: str
    "`use the probe`, `freeze more`, `freeze fewer`, `lower rate`, `augment`, `clean labels` or `more data`"
    evidence: str
    advice: str
    method: str | None = None
    "another method than the run's"
    settings: dict[str, Any] = field(default_factory=dict)
    "fields of the method"
    options: dict[str, Any] = field(default_factory=dict)
    "options of training"
    without: tuple[int, ...] = ()
    "numbers of the training examples to leave out"

    @property
    def can_be_tried(self) -> bool:
        return bool(self.method or self.settings or self.options or self.without)

    def same_trial(self, other: Proposal) -> bool:
        """Whether both change the same, whatever speaks for it."""
        mine, others = ((one.method, one.settings, one.options, one.without) for one in (self, other))
        return mine == others


@dataclass(frozen=True)
class Tried(Record):
    """A proposal, and what it did to the metric on validation: after less before, paired by example."""

    proposal: Proposal
    status: str
    "`helped`, `hurt`, `undecided`, `no time`, `failed: …`, or `yours` where it is for the user to do, or to try"
    before: float | None = None
    after: float | None = None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    p_value: float | None = None
    p_adjusted: float | None = None
    "after Holm's correction over what was tried"
    seconds: float | None = None
    configuration: dict[str, Any] = field(default_factory=dict)
    "all fields of the method that was trained"


@dataclass(frozen=True)
class Improvement(Showing, Record):
    run: str
    method: str
    metric: str
    seeds: int
    validation: int
    "examples"
    tried: tuple[Tried, ...]
    environment: EnvironmentRecord
    seconds: float
    budget: float | None = None
    needed: float | None = None
    "seconds from the start to the end of one trial, as forecast, where the budget is too short for any"
    run_started: str = ""
    "when the run was trained, by its own record"
    schema: str = SCHEMA
