"""Metrics of tags: entity F1 by spans, and accuracy by words. Their unit is the sentence: each has one row of sums.

Bootstrap and permutation therefore draw and swap whole sentences, in which the tags depend on each other.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from headstart.core.records.comparison import ClassRow
from headstart.stats.class_counts import ratio, rows_of_classes
from headstart.stats.metrics import Metric
from headstart.stats.predictions import Predictions
from headstart.stats.spans import Scheme, span_counts


def tags_of(predictions: Predictions) -> np.ndarray:
    """[n, L] the most probable tag of each word; -1 where the model saw no word: all its probabilities are 0."""
    found: np.ndarray = np.where(predictions.scores.any(-1), predictions.scores.argmax(-1), -1)
    return found


def _words(predictions: Predictions) -> np.ndarray:
    """[n, 2]: words with the right tag, words."""
    known = predictions.targets >= 0
    right = known & (tags_of(predictions) == predictions.targets)
    return np.stack([right.sum(1), known.sum(1)], 1).astype(np.float64)


def _log_loss(predictions: Predictions) -> np.ndarray:
    """[n, 2]: -log of the true tags' probabilities, words. Words that the model did not see do not count."""
    known = (predictions.targets >= 0) & predictions.scores.any(-1)
    chance = np.take_along_axis(predictions.scores, np.maximum(predictions.targets, 0)[..., None], -1)[..., 0]
    loss = -np.log(np.clip(chance, np.finfo(np.float32).eps, 1).astype(np.float64))
    return np.stack([(loss * known).sum(1), known.sum(1)], 1)


def _share(sums: np.ndarray) -> np.ndarray:
    return ratio(sums[..., 0], sums[..., 1])


def _tag_counts(predictions: Predictions, size: int) -> np.ndarray:
    """[n, 3, C]: words with a tag where it is right, where it was predicted, where it is true."""
    known = predictions.targets >= 0
    found = np.where(known, tags_of(predictions), -1)
    each = np.arange(size)
    predicted, true = found[..., None] == each, np.where(known, predictions.targets, -1)[..., None] == each
    return np.stack([(predicted & true).sum(1), predicted.sum(1), true.sum(1)], 1).astype(np.float64)


def counts_of(predictions: Predictions, labels: Sequence[str], scheme: Scheme | None) -> np.ndarray:
    """[n, 3, K] hits, predictions and truths of each type of entity, or of each tag if there is no scheme."""
    if scheme is None:
        return _tag_counts(predictions, len(labels))
    return span_counts(predictions.targets, tags_of(predictions), scheme)


def metrics_of(labels: Sequence[str]) -> dict[str, Metric]:
    """By name, the default first: entity F1 where the tags are spans, else accuracy."""
    scheme = Scheme.of(labels)

    def by_kind(predictions: Predictions) -> np.ndarray:
        return counts_of(predictions, labels, scheme).reshape(len(predictions), -1)  # [n, 3 K]

    def of_all(predictions: Predictions) -> np.ndarray:
        return counts_of(predictions, labels, scheme).sum(2)  # [n, 3]

    def micro(sums: np.ndarray) -> np.ndarray:
        return ratio(2 * sums[..., 0], sums[..., 1] + sums[..., 2])

    def macro(sums: np.ndarray) -> np.ndarray:
        """Over the kinds that are true or predicted."""
        hit, predicted, true = np.moveaxis(sums.reshape(*sums.shape[:-1], 3, -1), -2, 0)
        return ratio(ratio(2 * hit, predicted + true).sum(-1), (predicted + true > 0).sum(-1))

    entity_f1 = Metric("entity_f1", True, of_all, micro, effective=lambda sums: float(sums[2]))
    accuracy = Metric("accuracy", True, _words, _share, effective=lambda sums: float(sums[1]))
    macro_f1 = Metric("macro_f1", True, by_kind, macro)
    log_loss = Metric("log_loss", False, _log_loss, _share, (0.0, math.inf), percent=False)
    found = (accuracy, macro_f1, log_loss) if scheme is None else (entity_f1, accuracy, macro_f1, log_loss)
    return {one.name: one for one in found}


def tag_rows(runs: Sequence[Predictions], labels: Sequence[str]) -> tuple[ClassRow, ...]:
    """Precision, recall and F1 of each type of entity, or of each tag, from counts summed over runs."""
    scheme = Scheme.of(labels)
    sums = sum((counts_of(run, labels, scheme).sum(0) for run in runs), np.zeros(1))  # [3, K]
    return rows_of_classes(sums, scheme.names if scheme else labels, len(runs))


def tag_confusion(runs: Sequence[Predictions], labels: Sequence[str]) -> tuple[tuple[int, ...], ...]:
    """[C, C] words by true and predicted tag; empty where tags are spans, which no word has alone."""
    if Scheme.of(labels) is not None:
        return ()
    n, table = len(labels), np.zeros(len(labels) ** 2, dtype=np.int64)
    for run in runs:
        found = tags_of(run)
        seen = (run.targets >= 0) & (found >= 0)
        table += np.bincount(run.targets[seen] * n + found[seen], minlength=n * n)
    return tuple(tuple(int(x) for x in row) for row in table.reshape(n, n))
