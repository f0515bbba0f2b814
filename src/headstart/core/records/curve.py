"""Record of learning curves: quality against the number of labels, by method."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from headstart.core.records.environment import EnvironmentRecord
from headstart.core.records.record import Record

SCHEMA = "headstart.curve/1"
FEWEST = 3
"minimum number of sizes for a power law"


@dataclass(frozen=True)
class Reading(Record):
    """One method at one number of labels: the metric on the whole test split, mean over draws, 95 % interval."""

    method: str
    size: int
    "labels per class; for a task without classes, examples"
    examples: int
    "total number of training examples"
    status: str
    "`ok`, or the reason for a missing value"
    value: float | None = None
    low: float | None = None
    high: float | None = None
    draws: int = 0
    seconds: float | None = None
    "duration of one training in seconds, median over draws"
    validation_value: float | None = None
    "mean over draws on validation, for choosing a method per size without the test split"


@dataclass(frozen=True)
class Reach(Record):
    """Training examples needed for a value by the fitted law, with a 95 % interval; None if out of reach."""

    value: float
    examples: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Forecast(Record):
    """Forecast of the law for a number of training examples."""

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
    "forecasts at twice and ten times the largest size"
    reach: tuple[Reach, ...]
    "examples needed for the targets"


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
