"""Scores of probabilities, one per example: correct or not, log loss, Brier score, calibration error."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from headstart.stats.class_counts import decisions, truths
from headstart.stats.predictions import Predictions


def means_of(score: Callable[[Predictions], np.ndarray]) -> Callable[[Predictions], np.ndarray]:
    """Rows [n, 2] of a score and 1, whose sums give the mean."""

    def rows(predictions: Predictions) -> np.ndarray:
        return np.stack([score(predictions), np.ones(len(predictions))], 1)  # [n, 2]

    return rows


def mean(sums: np.ndarray) -> np.ndarray:
    return sums[..., 0] / sums[..., 1]


def correct(predictions: Predictions) -> np.ndarray:
    return (decisions(predictions) == truths(predictions)).all(1).astype(np.float64)


def negative_log_likelihood(predictions: Predictions) -> np.ndarray:
    """-log of the true class's probability; for multi-label the mean over labels. Clipped at float32's epsilon."""
    tiny = np.finfo(np.float32).eps
    scores = np.clip(predictions.scores, tiny, 1 - tiny).astype(np.float64)
    if predictions.kind == "multi_label":
        true = predictions.targets
        return -(true * np.log(scores) + (1 - true) * np.log1p(-scores)).mean(1)
    return -np.log(scores[np.arange(len(scores)), predictions.targets])


def brier(predictions: Predictions) -> np.ndarray:
    """Sum over classes of (probability - truth)^2; for multi-label the mean over labels. Source: Brier 1950."""
    squares = (predictions.scores.astype(np.float64) - truths(predictions)) ** 2
    return squares.mean(1) if predictions.kind == "multi_label" else squares.sum(1)


BINS = 15
"number of equal bins of confidence for the calibration error"


def confidence_bins(predictions: Predictions) -> np.ndarray:
    """[n, BINS + 1]: confidence minus hit, in the bin of the confidence; and 1."""
    confidence = predictions.scores.max(1).astype(np.float64)
    place = np.minimum((confidence * BINS).astype(int), BINS - 1)
    rows = np.zeros((len(predictions), BINS + 1))
    rows[np.arange(len(rows)), place] = confidence - correct(predictions)
    rows[:, -1] = 1
    return rows


def calibration_error(sums: np.ndarray) -> np.ndarray:
    """sum over bins of |sum of confidence - hits| / n. Source: Guo et al. 2017, section 2, equation 3."""
    return np.abs(sums[..., :-1]).sum(-1) / sums[..., -1]
