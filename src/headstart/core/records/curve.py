"""The record of learning curves: quality against the number of labels, method by method."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from headstart.core.records.comparison import EnvironmentRecord
from headstart.core.records.record import Record

SCHEMA = "headstart.curve/1"
FEWEST = 3
"sizes that a law is read off"


@dataclass(frozen=True)
class Reading(Record):
    """One method at one number of labels: the metric on the whole test split, mean over draws, 95 % interval."""

    method: str
    size: int
    "labels a class; of a task without classes, examples"
    examples: int
    "to train on, in all"
    status: str
    "`ok`, or why there is no value"
    value: float | None = None
    low: float | None = None
    high: float | None = None
    draws: int = 0
    seconds: float | None = None
    "of one training, median over draws"
    validation_value: float | None = None
    "mean over draws: by it one method may be chosen for a size, and the test split stays for judging"


@dataclass(frozen=True)
class Reach(Record):
    """How many training examples a value would take by the fitted law, with a 95 % interval; None: out of its reach."""

    value: float
    examples: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Forecast(Record):
    """The value that the law foretells with so many training examples."""

    examples: int
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Law(Record):
    """`error(n) = limit + scale n^-exponent`, fitted to one method's readings; see `stats.power_law`."""

    method: str
    limit: float
    limit_low: float
    limit_high: float
    scale: float
    exponent: float
    forecasts: tuple[Forecast, ...]
    "with twice and ten times the most that was tried"
    reach: tuple[Reach, ...]
    "of the targets that were asked for"


@dataclass(frozen=True)
class LearningCurve(Record):
    data: str
    fingerprint: str
    model: str
    metric: str
    higher_is_better: bool
    sizes: tuple[int, ...]
    readings: tuple[Reading, ...]
    laws: tuple[Law, ...]
    environment: EnvironmentRecord
    seconds: float | None = None
    configuration: dict[str, Any] = field(default_factory=dict)
    model_fingerprint: str = ""
    schema: str = SCHEMA
