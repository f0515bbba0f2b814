"""Classification: each example has one of the classes. Softmax and cross-entropy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from headstart.tasks.task import TASKS, Prediction, Task, Told

if TYPE_CHECKING:
    from torch import Tensor

    from headstart.stats.metrics import Metric
    from headstart.stats.predictions import Predictions


@TASKS.register("single_label")
@dataclass(frozen=True)
class Classification(Task):
    """targets: [n] int64 class indices; in training also [B, C] class shares (mixup)."""

    exclusive: ClassVar[bool] = True
    noun: ClassVar[str] = "one label"

    def loss(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Cross-entropy, weighted by class where the task has weights."""
        from torch.nn import functional as F

        weights = scores.new_tensor(self.class_weights) if self.class_weights else None
        return F.cross_entropy(scores, targets, weight=weights, reduction="sum")

    def probabilities(self, scores: Tensor) -> Tensor:
        return scores.softmax(dim=-1)

    def prior(self, targets: Tensor) -> Tensor:
        """Log frequencies."""
        counts = targets.long().bincount(minlength=self.outputs).double()
        return (counts.clamp(min=1e-3) / counts.sum()).log()

    def prediction(self, row: np.ndarray, given: Any = None) -> Prediction:
        chances = {label: float(p) for label, p in zip(self.labels, row)}
        return Prediction(self.labels[int(row.argmax())], chances, float(row.max()))

    def code(self) -> list[str]:
        return [f"labels = {list(self.labels)!r}", "print([labels[i] for i in scores.argmax(1)])"]

    def beside(self, main: Metric) -> tuple[Metric, ...]:
        """AUROC for two classes."""
        return (self.metrics["auroc"],) if self.outputs == 2 and main.name != "auroc" else ()

    def chance_metric(self, metric: Metric) -> Metric:
        return self.metrics["balanced_accuracy"] if metric.name == "macro_f1" else metric

    def confusion(self, runs: Sequence[Predictions]) -> tuple[tuple[int, ...], ...]:
        from headstart.stats.class_counts import confusion

        return confusion(runs, self.outputs)

    def losses(self, mean: Predictions) -> tuple[np.ndarray, np.ndarray]:
        chance = np.clip(mean.scores[np.arange(len(mean)), mean.targets].astype(np.float64), 1e-12, 1)
        return -np.log(chance), mean.scores.argmax(1) != mean.targets

    def told(self, mean: Predictions, i: int, given: Any) -> Told:
        scores = mean.scores[i]
        return self.labels[int(mean.targets[i])], self.labels[int(scores.argmax())], float(scores.max())
