"""Difference of differences: how much a change of the inputs moves a metric, and by how much more than in the base.

A model that gained ten points on clean texts and lost all of them under typos is no more robust than its base, even if
it is not worse under typos. So the comparison is of metric(changed) - metric(clean) of each model, with all four
answers paired by example.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from headstart.stats.metrics import Metric
from headstart.stats.predictions import Predictions


def joined(before: Predictions, after: Predictions) -> Predictions:
    """Both answers to each example side by side, for a metric made by `change_of`; they have the same examples."""
    targets = before.targets
    if before.kind != "single_label":
        targets = np.hstack([before.targets.reshape(len(before), -1)] * 2)  # [n, 2 labels], of regression [n, 2]
    return replace(before, targets=targets, scores=np.hstack([before.scores, after.scores]))


def _parts(both: Predictions, kind: str) -> tuple[Predictions, Predictions]:
    targets = [both.targets] * 2 if kind == "single_label" else np.split(both.targets, 2, axis=1)
    if kind == "regression":
        targets = [each[:, 0] for each in targets]
    scores = np.split(both.scores, 2, axis=1)
    first, second = (Predictions(both.ids, t, s, both.clusters) for t, s in zip(targets, scores))
    return first, second


def change_of(metric: Metric, kind: str) -> Metric:
    """The metric after minus before, for predictions of `joined`."""
    effective = metric.effective

    def rows(both: Predictions) -> np.ndarray:
        return np.hstack([metric.rows(one) for one in _parts(both, kind)])  # [n, 2 k]

    def value(sums: np.ndarray) -> np.ndarray:
        before, after = np.split(sums, 2, axis=-1)
        changed: np.ndarray = metric.value(after) - metric.value(before)
        return changed

    span = metric.bounds[1] - metric.bounds[0]
    return replace(
        metric, name=f"{metric.name}_change", rows=rows, value=value, bounds=(-span, span),
        share=False, sizes=False, of_change=metric,
        effective=effective and (lambda sums: effective(np.split(sums, 2)[0])),
    )  # fmt: skip
