"""Records of the trainings behind a row: curves, seeds, tried configurations, and why one ended early."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from headstart.core.duration import length
from headstart.core.records.record import Record


@dataclass(frozen=True)
class Point(Record):
    """One point of a training curve."""

    epoch: float
    step: int
    train_loss: float | None = None
    validation_loss: float | None = None
    validation_value: float | None = None
    learning_rate: float | None = None


@dataclass(frozen=True)
class Share(Record):
    """Validation value of a model between its start and its tuned weights."""

    share: float
    "share of the tuned weights"
    validation_value: float | None = None
    validation_loss: float | None = None


@dataclass(frozen=True)
class Stop(Record):
    """Reason why a race stopped a method; its row is measured on its last training."""

    share: float
    "length of its last training as a share of the usual steps; the schedule ended with it"
    reason: str
    """`behind`: clearly worse than the leader; `time`: a longer training did not fit the budget; `diverged`; in older
    records also `other`: another configuration of the method was ahead"""
    leader: str = ""
    difference: float | None = None
    "validation value minus the leader's, after trainings of the same length"
    low: float | None = None
    high: float | None = None
    epochs: float | None = None
    "length of that training, in epochs"
    examples: int | None = None
    "number of training examples seen; fewer than all if it ended within its first epoch"

    @property
    def length(self) -> str:
        """Length of the training of this row: `3 epochs`; in older records `11 % of its training`."""
        if self.epochs is None:
            return f"{self.share:.0%}".replace("%", " % of its training")
        return length(self.epochs, self.examples or 0)


@dataclass(frozen=True)
class Shortened(Record):
    """Length of a row's trainings, if a budget made them shorter than usual."""

    epochs: float
    "length in epochs"
    examples: int
    "number of training examples seen; fewer than all if the training ended within its first epoch"
    usual_epochs: int

    @property
    def length(self) -> str:
        """`1.4 epochs, where 40 are usual`."""
        verb = "is" if self.usual_epochs == 1 else "are"
        return f"{length(self.epochs, self.examples)}, where {self.usual_epochs} {verb} usual"


@dataclass(frozen=True)
class Trial(Record):
    """A configuration tried on validation."""

    configuration: dict[str, Any]
    "settings that differ from the method's defaults"
    validation_value: float | None
    validation_loss: float | None = None
    seconds: float | None = None
    status: str = "ok"
    "`ok`, `diverged`, `stopped` or `failed: …`"
    chosen: bool = False
    stopped: Stop | None = None


@dataclass(frozen=True)
class SeedRun(Record):
    seed: int
    validation_value: float | None
    value: float | None
    "the metric on the test split"
    train_seconds: float | None
    best_epoch: float | None = None
    curve: tuple[Point, ...] = ()
    interpolation: tuple[Share, ...] = ()
    "values of all tried shares, for a method that interpolates weights"
