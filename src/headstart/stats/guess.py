"""The constant guess (zero rule): one answer for all examples, and the margin of quality that is measured by it."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from headstart.core.errors import ConfigurationError
from headstart.stats.metrics import Metric
from headstart.stats.predictions import Predictions

POINT = 0.01
"default margin of metrics that end at 1: one point of accuracy"


def guess(like: Predictions) -> Predictions:
    """The classes' shares in these examples as the scores of each, or the mean of the targets.

    It knows their truths but can't tell them apart: its accuracy is the share of the most frequent class.
    """
    targets = like.targets
    if like.kind == "single_label":
        prior = np.bincount(targets, minlength=like.scores.shape[1]) / len(targets)
    else:
        prior = np.asarray(targets, dtype=np.float64).mean(axis=0).reshape(-1)
    scores = np.broadcast_to(prior.astype(np.float32), like.scores.shape)
    return replace(like, scores=np.ascontiguousarray(scores))


def default_margin(metric: Metric, guessed: float | None) -> float:
    """How much a method may lose against the best and still count as good: 0.01, one point, where the best value is 1.

    Of losses and errors, which have no such scale, 1 % of what the constant guess reaches on the same examples
    (`guessed`): for RMSE that is 1 % of the targets' standard deviation.
    """
    if metric.higher_is_better or metric.bounds == (0.0, 1.0) or not guessed:
        return POINT
    return POINT * guessed


def margin_in(metric: Metric, points: float | None) -> float | None:
    """The user's margin in the metric's own scale: points of a metric in percent, its unit otherwise.

    Raises `ConfigurationError` where it is no number above 0, or as large as the metric's whole scale.
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
