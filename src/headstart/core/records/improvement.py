"""Record of improving a run: proposals, their evidence, and the results of their trials."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from headstart.core.records.environment import EnvironmentRecord
from headstart.core.records.record import Record
from headstart.core.showing import Showing

SCHEMA = "headstart.improvement/1"


@dataclass(frozen=True)
class Proposal(Record):
    """A proposed change, for a trial or for the user. Trials need at least one of the last three fields."""

    name: str
    "`use the probe`, `freeze more`, `freeze fewer`, `lower rate`, `augment`, `clean labels` or `more data`"
    evidence: str
    advice: str
    method: str | None = None
    "another method instead of the run's"
    settings: dict[str, Any] = field(default_factory=dict)
    "changed settings of the method"
    options: dict[str, Any] = field(default_factory=dict)
    "changed options of training"
    without: tuple[int, ...] = ()
    "ids of training examples to leave out"

    @property
    def can_be_tried(self) -> bool:
        return bool(self.method or self.settings or self.options or self.without)

    def same_trial(self, other: Proposal) -> bool:
        """True if both make the same change, whatever the evidence."""
        mine, others = ((one.method, one.settings, one.options, one.without) for one in (self, other))
        return mine == others


@dataclass(frozen=True)
class Tried(Record):
    """Result of a proposal on validation: the metric after minus before, paired by example."""

    proposal: Proposal
    status: str
    "`helped`, `hurt`, `undecided`, `no time`, `failed: …`, or `yours` if the user has to do it"
    before: float | None = None
    after: float | None = None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    p_value: float | None = None
    p_adjusted: float | None = None
    "p-value after Holm's correction over all trials"
    seconds: float | None = None
    configuration: dict[str, Any] = field(default_factory=dict)
    "all settings of the trained method"


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
    "forecast duration of one trial in seconds, if the budget is too short for any"
    run_started: str = ""
    "time of the run's training, from its record"
    schema: str = SCHEMA
