"""Multi-label classification: each example has any number of the labels. Sigmoid and binary cross-entropy."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from headstart.stats.class_counts import THRESHOLD
from headstart.tasks.task import TASKS, Prediction, Task, Told

if TYPE_CHECKING:
    from torch import Tensor

    from headstart.stats.metrics import Metric
    from headstart.stats.predictions import Predictions


@TASKS.register("multi_label")
@dataclass(frozen=True)
class MultiLabel(Task):
    """targets: [n, labels] float32 zeros and ones."""

    noun: ClassVar[str] = "several labels"

    def loss(self, scores: Tensor, targets: Tensor) -> Tensor:
        """The mean over the labels of binary cross-entropy."""
        from torch.nn import functional as F

        weights = scores.new_tensor(self.class_weights) if self.class_weights else None
        each = F.binary_cross_entropy_with_logits(scores, targets, weight=weights, reduction="none")
        return each.mean(dim=1).sum()

    def probabilities(self, scores: Tensor) -> Tensor:
        return scores.sigmoid()

    def prior(self, targets: Tensor) -> Tensor:
        """Log odds."""
        return targets.double().mean(0).logit(eps=1e-4)

    def prediction(self, row: np.ndarray, given: Any = None) -> Prediction:
        chances = {label: float(p) for label, p in zip(self.labels, row)}
        nearest = min(max(p, 1.0 - p) for p in chances.values())
        found = [label for label, p in chances.items() if p > 0.5]
        apart = not any("|" in label for label in self.labels)
        return Prediction("|".join(found) if apart else json.dumps(found, ensure_ascii=False), chances, nearest)

    def decided(self, scores: np.ndarray) -> np.ndarray:
        return scores > THRESHOLD

    def code(self) -> list[str]:
        print_all = "print([[label for label, score in zip(labels, row) if score > 0] for row in scores])"
        return [f"labels = {list(self.labels)!r}", print_all]

    def chance_metric(self, metric: Metric) -> Metric:
        return self.metrics["auroc"] if metric.name in ("micro_f1", "macro_f1") else metric

    def losses(self, mean: Predictions) -> tuple[np.ndarray, np.ndarray]:
        scores, true = mean.scores.astype(np.float64), mean.targets == 1
        chance = np.clip(np.where(true, scores, 1 - scores), 1e-12, 1)
        return -np.log(chance).mean(1), ((mean.scores > THRESHOLD) != true).any(1)

    def told(self, mean: Predictions, i: int, given: Any) -> Told:
        sides = (mean.targets[i] == 1, mean.scores[i] > THRESHOLD)
        true, found = ("|".join(label for label, held in zip(self.labels, side) if held) for side in sides)
        return true, found, None
