"""Budget: how long a job may train."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Budget:
    """Length of a training, and its reasons to stop early."""

    epochs: int
    patience: int | None = None
    "epochs without a better validation score after which the training stops"
    clip: float = 1.0
    "largest norm of the gradient; longer ones are scaled down"
    share: float = 1.0
    "share of the epochs' steps: a shorter training, whose schedule ends with it"
    steps: int | None = None
    "steps after which the training pauses, before the schedule's end (learning-rate finder, interruption)"
    stop_factor: float | None = None
    "the training stops if the smoothed loss is above this many times its minimum (learning-rate finder)"

    def total(self, per_epoch: int) -> int:
        """Steps from the schedule's start to its end."""
        return max(1, math.ceil(self.share * self.epochs * per_epoch))
