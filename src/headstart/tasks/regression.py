"""Regression: each example has a number. Squared error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from headstart.tasks.task import TASKS, Prediction, Task, Told

if TYPE_CHECKING:
    from torch import Tensor

    from headstart.stats.predictions import Predictions


@TASKS.register("regression")
@dataclass(frozen=True)
class Regression(Task):
    """targets: [n] float32."""

    numeric: ClassVar[bool] = True
    noun: ClassVar[str] = "a number"
    uncertain: ClassVar[str] = "predicts numbers, which have no probability"

    @property
    def outputs(self) -> int:
        return 1

    def loss(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Half the squared error."""
        return 0.5 * (scores[:, 0] - targets).square().sum()

    def probabilities(self, scores: Tensor) -> Tensor:
        return scores

    def prior(self, targets: Tensor) -> Tensor:
        return targets.double().mean().reshape(1)

    def prediction(self, row: np.ndarray, given: Any = None) -> Prediction:
        return Prediction(f"{row[0]:.6g}", {"value": float(row[0])})

    def code(self) -> list[str]:
        return ["print(scores[:, 0].tolist())"]

    def losses(self, mean: Predictions) -> tuple[np.ndarray, np.ndarray]:
        """The absolute error; every example counts."""
        return np.abs(mean.scores[:, 0] - mean.targets).astype(np.float64), np.ones(len(mean), dtype=bool)

    def told(self, mean: Predictions, i: int, given: Any) -> Told:
        return f"{mean.targets[i]:.6g}", f"{mean.scores[i, 0]:.6g}", None
