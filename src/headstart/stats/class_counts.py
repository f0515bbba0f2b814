"""Hits, predictions and truths of each class: what F1, recall and the table of classes are computed from.

Absent classes are treated as in scikit-learn. Macro-F1 of single-label tasks averages over classes that are true or
predicted somewhere, and balanced accuracy over classes that are true somewhere. Macro-F1 of multi-label tasks averages
over all labels, with 0 for a label that is neither true nor predicted. Micro-F1 without true or predicted labels is 0.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from headstart.core.records.comparison import ClassRow
from headstart.stats.predictions import Predictions

THRESHOLD = 0.5
"probability above which a label of a multi-label task is predicted"


def ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """above / below, 0 where below is 0."""
    return np.divide(above, below, out=np.zeros(np.broadcast(above, below).shape), where=below != 0)


def decisions(predictions: Predictions) -> np.ndarray:
    """Predictions as [n, outputs] of 0 and 1: the highest score (the first of equals), or all above the threshold."""
    if predictions.kind == "multi_label":
        return (predictions.scores > THRESHOLD).astype(np.float64)
    return np.eye(predictions.scores.shape[1])[predictions.scores.argmax(1)]


def truths(predictions: Predictions) -> np.ndarray:
    """Targets as [n, outputs] of 0 and 1."""
    if predictions.kind == "multi_label":
        return predictions.targets.astype(np.float64)
    return np.eye(predictions.scores.shape[1])[predictions.targets]


def counts(predictions: Predictions) -> np.ndarray:
    """[n, 3 C]: hit, predicted and true for each class."""
    predicted, true = decisions(predictions), truths(predictions)
    return np.hstack([predicted * true, predicted, true])


def _split(sums: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    hit, predicted, true = np.moveaxis(sums.reshape(*sums.shape[:-1], 3, -1), -2, 0)
    return hit, predicted, true  # [..., C] each


def f1_of_present(sums: np.ndarray) -> np.ndarray:
    hit, predicted, true = _split(sums)
    return ratio(ratio(2 * hit, predicted + true).sum(-1), (predicted + true > 0).sum(-1))


def f1_of_all(sums: np.ndarray) -> np.ndarray:
    hit, predicted, true = _split(sums)
    return ratio(2 * hit, predicted + true).mean(-1)


def recall_of_present(sums: np.ndarray) -> np.ndarray:
    hit, _, true = _split(sums)
    return ratio(ratio(hit, true).sum(-1), (true > 0).sum(-1))


def effective_examples(sums: np.ndarray) -> float:
    """C^2 / sum 1/n_c over the classes present: a mean of C shares of n_c examples varies like one share of so many."""
    true = _split(sums)[2]
    true = true[true > 0]
    return float(len(true) ** 2 / (1 / true).sum()) if len(true) else 0.0


def micro_counts(predictions: Predictions) -> np.ndarray:
    predicted, true = decisions(predictions), truths(predictions)
    columns = [(predicted * true).sum(1), predicted.sum(1), true.sum(1), np.ones(len(predictions))]
    return np.stack(columns, 1)  # [n, 4]


def micro_f1(sums: np.ndarray) -> np.ndarray:
    return ratio(2 * sums[..., 0], sums[..., 1] + sums[..., 2])


def confusion(predictions: Predictions | Sequence[Predictions], n: int) -> tuple[tuple[int, ...], ...]:
    """[n, n] counts, rows: true class, columns: predicted class, summed over runs; empty unless single-label."""
    runs = [predictions] if isinstance(predictions, Predictions) else list(predictions)
    if not runs or runs[0].kind != "single_label":
        return ()
    pairs = np.concatenate([run.targets * n + run.scores.argmax(1) for run in runs])
    return tuple(tuple(int(x) for x in row) for row in np.bincount(pairs, minlength=n * n).reshape(n, n))


def per_class(predictions: Predictions | Sequence[Predictions], labels: Sequence[str]) -> tuple[ClassRow, ...]:
    """Precision, recall and F1 of each class from counts summed over runs; support is that of one run.

    None for a ratio without a denominator: precision of a class never predicted, recall of one without examples.
    Empty for regression.
    """
    runs = [predictions] if isinstance(predictions, Predictions) else list(predictions)
    if not runs or runs[0].kind == "regression":
        return ()
    return rows_of_classes(np.stack(_split(sum((counts(run).sum(0) for run in runs), np.zeros(1)))), labels, len(runs))


def rows_of_classes(sums: np.ndarray, labels: Sequence[str], runs: int) -> tuple[ClassRow, ...]:
    """sums: [3, C] hits, predictions and truths of each class, summed over runs."""

    def share(above: float, below: float) -> float | None:
        return float(above / below) if below else None

    return tuple(
        ClassRow(label, share(h, p), share(h, t), share(2 * h, p + t), round(t / runs))
        for label, h, p, t in zip(labels, *sums, strict=True)
    )
