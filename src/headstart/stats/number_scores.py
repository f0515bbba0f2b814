"""Scores of predicted numbers: errors and R squared."""

from __future__ import annotations

import numpy as np

from headstart.stats.predictions import Predictions


def _error(predictions: Predictions) -> np.ndarray:
    return predictions.scores[:, 0].astype(np.float64) - predictions.targets.astype(np.float64)


def squared_error(predictions: Predictions) -> np.ndarray:
    return _error(predictions) ** 2


def absolute_error(predictions: Predictions) -> np.ndarray:
    return np.abs(_error(predictions))


def squares(predictions: Predictions) -> np.ndarray:
    """[n, 4]: squared error, centred target, its square, 1."""
    target = predictions.targets.astype(np.float64)
    target = target - target.mean()
    return np.stack([squared_error(predictions), target, target**2, np.ones(len(target))], 1)


def r2(sums: np.ndarray) -> np.ndarray:
    """1 - sum of squared errors / sum of squares about the mean; with equal targets 1 without error, else 0."""
    error, first, second, n = np.moveaxis(sums, -1, 0)
    about = second - first**2 / n
    alike = about <= 1e-12 * second
    return np.where(alike, (error == 0).astype(float), 1 - error / np.where(alike, 1.0, about))
