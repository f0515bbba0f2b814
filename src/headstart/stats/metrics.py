"""Metrics as functions of sums over examples, so that bootstrap and permutation are exact and fast for all of them.

A metric gives each example a row of statistics, S [n, k], and computes its value from their sum [k] alone. A
bootstrap draw with example weights w [n] is `value(w @ S)`; a swap of two models' predictions moves rows from one sum
to the other. No metric is ever averaged over batches.

AUROC and average precision (`rank_metrics`) leave out classes for which they are undefined, and are NaN if no class is
left. `class_counts` lists how the others treat absent classes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from headstart.core.errors import ConfigurationError, unknown
from headstart.core.registry import Registry
from headstart.stats import class_counts, number_scores, probability_scores
from headstart.stats.predictions import Predictions
from headstart.stats.probability_scores import mean, means_of
from headstart.stats.rank_metrics import auroc, average_precision, rank_rows, rank_value


@dataclass(frozen=True)
class Metric:
    """One way to score predictions.

    rows: predictions -> S [n, k] float64, one row of statistics per example.
    value: sums of S [..., k] -> values [...].
    effective: sum of S [k] -> the number m of examples for which the metric is about as certain as a share of successes
        among m; given for metrics in [0, 1], whose intervals need care near the ends.
    """

    name: str
    higher_is_better: bool
    rows: Callable[[Predictions], np.ndarray]
    value: Callable[[np.ndarray], np.ndarray]
    bounds: tuple[float, float] = (0.0, 1.0)
    percent: bool = True
    "True if it is shown as a percentage"
    effective: Callable[[np.ndarray], float] | None = None
    share: bool = False
    "True if it is the share of correct examples, so that it has the interval of a proportion"
    sizes: bool = False
    """True if it is sum of |sums of all columns but the last| / last, which noise can only increase; its value and
    interval are therefore corrected (`inversion`)"""
    of_change: Metric | None = None
    "the metric whose change this measures, from rows with before and after side by side (`before_after`)"

    @property
    def of_sizes(self) -> bool:
        """True if it, or the metric whose change it is, is such a sum of absolute values."""
        return (self.of_change or self).sizes

    def statistics(self, predictions: Predictions) -> np.ndarray:
        """S [n, k]. Raises `ValueError` for no examples and for scores that are NaN or infinite."""
        if not len(predictions):
            raise ValueError(f"{self.name} needs at least one example")
        if not predictions.finite:
            raise ValueError(f"{self.name} of scores that are NaN or infinite: this run diverged")
        return self.rows(predictions)

    def check(self, value: float, what: str) -> None:
        """Raises `ConfigurationError` if the user's value of this metric is out of its bounds. what: its name."""
        low, high = self.bounds
        if not low <= value <= high:
            meant = f"; {value:g} % is {value / 100:g}" if self.percent else ""
            raise ConfigurationError(f"{what} is {value:g}, but {self.name} lies in {low:g} to {high:g}{meant}.")

    def defined(self, targets: np.ndarray, outputs: int) -> bool:
        """True if examples with these targets give the metric a value."""
        words = targets.shape if targets.ndim == 2 and targets.dtype.kind == "i" else (len(targets),)
        guess = Predictions(np.arange(len(targets)), targets, np.full((*words, outputs), 1 / outputs))
        return math.isfinite(self.of(guess))

    def of(self, predictions: Predictions) -> float:
        """The metric's value; NaN if the scores are not finite, or if it is undefined on these examples."""
        return float(self.value(self.statistics(predictions).sum(0))) if predictions.finite else math.nan


_ACCURACY = Metric(
    "accuracy", True, means_of(probability_scores.correct), mean, effective=lambda sums: float(sums[1]), share=True
)
_LOG_LOSS = Metric(
    "log_loss", False, means_of(probability_scores.negative_log_likelihood), mean, (0.0, math.inf), percent=False
)
_BRIER = Metric("brier", False, means_of(probability_scores.brier), mean, (0.0, 2.0), percent=False)
_ECE = Metric(
    "ece", False, probability_scores.confidence_bins, probability_scores.calibration_error, percent=False, sizes=True
)
_MICRO_F1 = Metric(
    "micro_f1", True, class_counts.micro_counts, class_counts.micro_f1,
    effective=lambda sums: float(min(sums[2], sums[3])),
)  # fmt: skip
_AUROC = Metric("auroc", True, rank_rows(auroc), rank_value, effective=lambda sums: float(sums[3]))
_AVERAGE_PRECISION = replace(_AUROC, name="average_precision", rows=rank_rows(average_precision))


def _of_classes(name: str, value: Callable[[np.ndarray], np.ndarray]) -> Metric:
    return Metric(name, True, class_counts.counts, value, effective=class_counts.effective_examples)


_SINGLE = (
    _ACCURACY,
    _of_classes("macro_f1", class_counts.f1_of_present),
    _of_classes("balanced_accuracy", class_counts.recall_of_present),
    _MICRO_F1,
    _AUROC,
    _AVERAGE_PRECISION,
    _LOG_LOSS,
    _BRIER,
    _ECE,
)
_MULTI = (
    _MICRO_F1,
    _of_classes("macro_f1", class_counts.f1_of_all),
    _ACCURACY,
    _AUROC,
    _AVERAGE_PRECISION,
    _LOG_LOSS,
    _BRIER,
)
_REGRESSION = (
    Metric(
        "rmse", False, means_of(number_scores.squared_error), lambda sums: np.sqrt(mean(sums)), (0.0, math.inf),
        percent=False,
    ),
    Metric("mae", False, means_of(number_scores.absolute_error), mean, (0.0, math.inf), percent=False),
    Metric("r2", True, number_scores.squares, number_scores.r2, (-math.inf, 1.0), percent=False),
)  # fmt: skip

METRICS: dict[str, dict[str, Metric]] = {
    "single_label": {m.name: m for m in _SINGLE},
    "multi_label": {m.name: m for m in _MULTI},
    "regression": {m.name: m for m in _REGRESSION},
}
"metrics of each kind of task by name, the default first; accuracy of multi-label tasks needs the whole label set right"

ADDED: Registry[tuple[Metric, tuple[str, ...]]] = Registry("metric", "headstart.stats", "headstart.metrics")
"metrics of other packages, with the kinds of task that they are for"


def add(metric: Metric, *kinds: str) -> Metric:
    """Adds a metric to these kinds of tasks, in a file that an entry point of the group `headstart.metrics` names."""
    if taken := [kind for kind in kinds if metric.name in METRICS.get(kind, {})]:
        raise ValueError(f"{taken[0]} tasks have a metric {metric.name!r} already")
    ADDED.register(metric.name)((metric, kinds))
    return metric


def metrics_of(kind: str) -> dict[str, Metric]:
    """Metrics of this kind of task, the default first, and those of other packages."""
    return METRICS.get(kind, {}) | {name: ADDED[name][0] for name in ADDED if kind in ADDED[name][1]}


def of_any_kind(name: str) -> Metric:
    """The metric of this name, of the first kind of task that has it."""
    return next(found[name] for found in map(metrics_of, [*METRICS, *_added_kinds()]) if name in found)


def _added_kinds() -> list[str]:
    return [kind for name in ADDED for kind in ADDED[name][1]]


OTHER_NAMES = {
    "auc": "auroc", "roc_auc": "auroc", "ap": "average_precision", "pr_auc": "average_precision",
    "auprc": "average_precision", "recall": "balanced_accuracy", "macro_recall": "balanced_accuracy",
    "nll": "log_loss", "cross_entropy": "log_loss",
}  # fmt: skip
"names that other libraries use, for suggestions"


def metric(kind: str, name: str | None = None) -> Metric:
    """The metric of that name for this kind of task, or its default: accuracy, micro_f1 or rmse.

    Raises `ConfigurationError`, with the nearest name, for a metric that this kind of task does not have.
    """
    return named(metrics_of(kind), name, kind)


def named(metrics: Mapping[str, Metric], name: str | None, kind: str) -> Metric:
    """One of these, or the first; an unknown name raises `ConfigurationError` with the nearest."""
    if name is None:
        return next(iter(metrics.values()))
    if name not in metrics:
        if (same := OTHER_NAMES.get(name.lower())) in metrics:
            raise ConfigurationError(f"the metric {name!r} is called {same!r} here. Allowed: {', '.join(metrics)}.")
        raise unknown(f"metric for {kind} tasks", name, metrics)
    return metrics[name]
