"""Metrics of answers that were judged one by one: predictions hold a column for each judgement (`COLUMNS`).

Each example is one row of sums, so that intervals and paired tests work as for every metric.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from headstart.stats.class_counts import ratio
from headstart.stats.metrics import Metric
from headstart.stats.predictions import Predictions

COLUMNS = ("exact", "f1", "answerable", "confidence", "first", "last", "true_first", "true_last")
"""exact match and token F1 with the best of the accepted answers; 1 if there is one; the answer's probability; signs of
the answer and of the first accepted one"""
EXACT, F1, ANSWERABLE, CONFIDENCE, FIRST, LAST, TRUE_FIRST, TRUE_LAST = range(len(COLUMNS))


def _mean_of(column: int, among: float | None = None) -> Callable[[Predictions], np.ndarray]:
    """[n, 2]: the column, and 1, of the examples whose `answerable` is `among`, or of all."""

    def rows(predictions: Predictions) -> np.ndarray:
        scores = predictions.scores.astype(np.float64)
        counts = np.ones(len(scores)) if among is None else (scores[:, ANSWERABLE] == among).astype(np.float64)
        return np.stack([scores[:, column] * counts, counts], axis=1)

    return rows


def _share(sums: np.ndarray) -> np.ndarray:
    return ratio(sums[..., 0], sums[..., 1])


def _metric(name: str, column: int, among: float | None = None, share: bool = False) -> Metric:
    return Metric(name, True, _mean_of(column, among), _share, effective=lambda sums: float(sums[1]), share=share)


ANSWERS = (_metric("f1", F1), _metric("exact_match", EXACT, share=True))
"token F1, which ranks, and exact match"
NO_ANSWERS = (
    _metric("answerable_f1", F1, 1.0), _metric("answerable_exact_match", EXACT, 1.0),
    _metric("unanswerable_accuracy", EXACT, 0.0),
)  # fmt: skip
"the same of questions with and without an answer, for data with both"
