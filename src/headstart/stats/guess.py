"""Zero rule (constant guess): one answer for all examples, and the margin relative to it."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from headstart.core.errors import ConfigurationError
from headstart.stats.metrics import Metric
from headstart.stats.predictions import Predictions

POINT = 0.01
"default margin of metrics with maximum 1: one point of accuracy"


def guess(like: Predictions) -> Predictions:
    """Predicts the class shares of these examples for each, or the mean of the targets.

    It uses the truths but not the inputs, so its accuracy is the share of the most frequent class.
    """
    targets = like.targets
    if targets.dtype.kind == "i":  # classes of examples, or of words
        known = targets[targets >= 0]
        prior = np.bincount(known, minlength=like.scores.shape[-1]) / len(known)
    else:
        prior = np.asarray(targets, dtype=np.float64).mean(axis=0).reshape(-1)
    scores = np.broadcast_to(prior.astype(np.float32), like.scores.shape)
    return replace(like, scores=np.ascontiguousarray(scores))


def default_margin(metric: Metric, guessed: float | None) -> float:
    """Default non-inferiority margin: 0.01, one point, for metrics with maximum 1.

    For losses and errors, 1 % of the constant guess's value on the same examples (`guessed`): for RMSE that is 1 % of
    the targets' standard deviation.
    """
    if metric.higher_is_better or metric.bounds == (0.0, 1.0) or not guessed:
        return POINT
    return POINT * guessed


def margin_in(metric: Metric, points: float | None) -> float | None:
    """The user's margin in units of the metric; the user gives points for metrics in percent.

    Raises `ConfigurationError` unless it is above 0 and below the range of the metric.
    """
    if points is None:
        return None
    if not (math.isfinite(points) and points > 0):
        raise ConfigurationError(f"the margin is {points:g}; give a number above 0, such as 1 for one point.")
    margin = points / 100 if metric.percent else points
    low, high = metric.bounds
    if margin >= high - low:
        unit = "points" if metric.percent else f"in {metric.name}"
        raise ConfigurationError(f"a margin of {points:g} {unit} is all of the metric's scale; give a smaller one.")
    return margin
