"""Metrics as functions of sums over examples, so that bootstrap and permutation are exact and fast for every one.

A metric gives each example a row of statistics, S [n, k], and computes its value from their sum [k] alone. A
bootstrap draw with example weights w [n] is `value(w @ S)`; a swap of two models' predictions moves rows from one sum
to the other. No metric is ever averaged over batches.

Absent classes are treated as scikit-learn does: macro-F1 of single-label tasks averages over classes that are in the
truth or among the predictions, balanced accuracy over classes in the truth; macro-F1 of multi-label tasks averages
over all labels, 0 for one that is neither true nor predicted; micro-F1 with nothing true and nothing predicted is 0.
AUROC and average precision (`rank_metrics`) leave out classes that they are not defined for, and are NaN where none
is left.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from headstart.core.errors import ConfigurationError, unknown
from headstart.core.records.comparison import ClassRow
from headstart.stats.predictions import Predictions
from headstart.stats.rank_metrics import auroc, average_precision, rank_rows, rank_value

if TYPE_CHECKING:
    from headstart.data.examples import Data

THRESHOLD = 0.5
"a label of a multi-label task is predicted where its probability is above this"


@dataclass(frozen=True)
class Metric:
    """One way to score predictions.

    rows: predictions -> S [n, k] float64, one row of statistics an example.
    value: sums of S [..., k] -> values [...].
    effective: sum of S [k] -> the number of examples m for which the metric is about as certain as the share of
        successes among m; given for metrics in [0, 1], whose intervals need care near the ends.
    """

    name: str
    higher_is_better: bool
    rows: Callable[[Predictions], np.ndarray]
    value: Callable[[np.ndarray], np.ndarray]
    bounds: tuple[float, float] = (0.0, 1.0)
    percent: bool = True
    "whether it reads as a percentage"
    effective: Callable[[np.ndarray], float] | None = None
    share: bool = False
    "whether it is the share of examples that are right, so that its interval is that of a share"
    sizes: bool = False
    """whether it is sum of |sums of all columns but the last| / last: noise only makes it larger, so that neither value
    nor interval can be read off as they are (`inversion`)"""
    of_change: Metric | None = None
    "the metric whose change this is, of rows that hold before and after side by side (`before_after`)"

    @property
    def of_sizes(self) -> bool:
        """Whether it or what it is the change of is such a sum of sizes."""
        return (self.of_change or self).sizes

    def statistics(self, predictions: Predictions) -> np.ndarray:
        """S [n, k]. Raises `ValueError` for no examples and for scores that are NaN or infinite."""
        if not len(predictions):
            raise ValueError(f"{self.name} needs at least one example")
        if not predictions.finite:
            raise ValueError(f"{self.name} of scores that are NaN or infinite: this run diverged")
        return self.rows(predictions)

    def check(self, value: float, what: str) -> None:
        """Raises `ConfigurationError` where `what`, a value of this metric that the user gave, can be none."""
        low, high = self.bounds
        if not low <= value <= high:
            meant = f"; {value:g} % is {value / 100:g}" if self.percent else ""
            raise ConfigurationError(f"{what} is {value:g}, but {self.name} lies in {low:g} to {high:g}{meant}.")

    def defined(self, targets: np.ndarray, outputs: int) -> bool:
        """Whether examples with these targets give the metric a value."""
        words = targets.shape if targets.ndim == 2 and targets.dtype.kind == "i" else (len(targets),)
        guess = Predictions(np.arange(len(targets)), targets, np.full((*words, outputs), 1 / outputs))
        return math.isfinite(self.of(guess))

    def of(self, predictions: Predictions) -> float:
        """The metric's value; NaN where the scores are not finite, or it is not defined on these examples."""
        return float(self.value(self.statistics(predictions).sum(0))) if predictions.finite else math.nan


def ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """above / below, 0 where below is 0."""
    return np.divide(above, below, out=np.zeros(np.broadcast(above, below).shape), where=below != 0)


def decisions(predictions: Predictions) -> np.ndarray:
    """What is predicted, as [n, outputs] of 0 and 1: the highest score (the first of equals), or all above 0.5."""
    if predictions.kind == "multi_label":
        return (predictions.scores > THRESHOLD).astype(np.float64)
    return np.eye(predictions.scores.shape[1])[predictions.scores.argmax(1)]


def truths(predictions: Predictions) -> np.ndarray:
    """What is true, as [n, outputs] of 0 and 1."""
    if predictions.kind == "multi_label":
        return predictions.targets.astype(np.float64)
    return np.eye(predictions.scores.shape[1])[predictions.targets]


def _counts(predictions: Predictions) -> np.ndarray:
    """[n, 3 C]: hit, predicted and true for each class."""
    predicted, true = decisions(predictions), truths(predictions)
    return np.hstack([predicted * true, predicted, true])


def _split(sums: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    hit, predicted, true = np.moveaxis(sums.reshape(*sums.shape[:-1], 3, -1), -2, 0)
    return hit, predicted, true  # [..., C] each


def _f1_present(sums: np.ndarray) -> np.ndarray:
    hit, predicted, true = _split(sums)
    return ratio(ratio(2 * hit, predicted + true).sum(-1), (predicted + true > 0).sum(-1))


def _f1_all(sums: np.ndarray) -> np.ndarray:
    hit, predicted, true = _split(sums)
    return ratio(2 * hit, predicted + true).mean(-1)


def _recall_present(sums: np.ndarray) -> np.ndarray:
    hit, _, true = _split(sums)
    return ratio(ratio(hit, true).sum(-1), (true > 0).sum(-1))


def _effective_classes(sums: np.ndarray) -> float:
    """C^2 / sum 1/n_c over classes present: a mean of C shares, each of n_c, varies like one share of so many."""
    true = _split(sums)[2]
    true = true[true > 0]
    return float(len(true) ** 2 / (1 / true).sum()) if len(true) else 0.0


def _micro_counts(predictions: Predictions) -> np.ndarray:
    predicted, true = decisions(predictions), truths(predictions)
    columns = [(predicted * true).sum(1), predicted.sum(1), true.sum(1), np.ones(len(predictions))]
    return np.stack(columns, 1)  # [n, 4]


def _micro_f1(sums: np.ndarray) -> np.ndarray:
    return ratio(2 * sums[..., 0], sums[..., 1] + sums[..., 2])


def _mean_of(loss: Callable[[Predictions], np.ndarray]) -> Callable[[Predictions], np.ndarray]:
    def rows(predictions: Predictions) -> np.ndarray:
        return np.stack([loss(predictions), np.ones(len(predictions))], 1)  # [n, 2]

    return rows


def _mean(sums: np.ndarray) -> np.ndarray:
    return sums[..., 0] / sums[..., 1]


def _root_mean(sums: np.ndarray) -> np.ndarray:
    return np.sqrt(_mean(sums))


def _correct(predictions: Predictions) -> np.ndarray:
    return (decisions(predictions) == truths(predictions)).all(1).astype(np.float64)


def _negative_log_likelihood(predictions: Predictions) -> np.ndarray:
    """-log of the true class's probability; for multi-label the mean over labels. Clipped at float32's epsilon."""
    tiny = np.finfo(np.float32).eps
    scores = np.clip(predictions.scores, tiny, 1 - tiny).astype(np.float64)
    if predictions.kind == "multi_label":
        true = predictions.targets
        return -(true * np.log(scores) + (1 - true) * np.log1p(-scores)).mean(1)
    return -np.log(scores[np.arange(len(scores)), predictions.targets])


def _brier(predictions: Predictions) -> np.ndarray:
    """Sum over classes of (probability - truth)^2; for multi-label the mean over labels. Source: Brier 1950."""
    squares = (predictions.scores.astype(np.float64) - truths(predictions)) ** 2
    return squares.mean(1) if predictions.kind == "multi_label" else squares.sum(1)


BINS = 15
"equal bins of confidence for the calibration error"


def _confidence_bins(predictions: Predictions) -> np.ndarray:
    """[n, BINS + 1]: confidence less hit, in the bin of the confidence; and 1."""
    confidence = predictions.scores.max(1).astype(np.float64)
    place = np.minimum((confidence * BINS).astype(int), BINS - 1)
    rows = np.zeros((len(predictions), BINS + 1))
    rows[np.arange(len(rows)), place] = confidence - _correct(predictions)
    rows[:, -1] = 1
    return rows


def _calibration_error(sums: np.ndarray) -> np.ndarray:
    """sum over bins of |sum of confidence - hits| / n. Source: Guo et al. 2017, section 2, equation 3."""
    return np.abs(sums[..., :-1]).sum(-1) / sums[..., -1]


def _error(predictions: Predictions) -> np.ndarray:
    return predictions.scores[:, 0].astype(np.float64) - predictions.targets.astype(np.float64)


def _squares(predictions: Predictions) -> np.ndarray:
    """[n, 4]: squared error, centred target, its square, 1."""
    target = predictions.targets.astype(np.float64)
    target = target - target.mean()
    return np.stack([_error(predictions) ** 2, target, target**2, np.ones(len(target))], 1)


def _r2(sums: np.ndarray) -> np.ndarray:
    """1 - sum of squared errors / sum of squares about the mean; all targets alike: 1 without error, else 0."""
    error, first, second, n = np.moveaxis(sums, -1, 0)
    about = second - first**2 / n
    alike = about <= 1e-12 * second
    return np.where(alike, (error == 0).astype(float), 1 - error / np.where(alike, 1.0, about))


_ACCURACY = Metric("accuracy", True, _mean_of(_correct), _mean, effective=lambda sums: float(sums[1]), share=True)
_LOG_LOSS = Metric("log_loss", False, _mean_of(_negative_log_likelihood), _mean, (0.0, math.inf), percent=False)
_BRIER = Metric("brier", False, _mean_of(_brier), _mean, (0.0, 2.0), percent=False)
_ECE = Metric("ece", False, _confidence_bins, _calibration_error, percent=False, sizes=True)
_MICRO_F1 = Metric("micro_f1", True, _micro_counts, _micro_f1, effective=lambda sums: float(min(sums[2], sums[3])))
_AUROC = Metric("auroc", True, rank_rows(auroc), rank_value, effective=lambda sums: float(sums[3]))
_AVERAGE_PRECISION = replace(_AUROC, name="average_precision", rows=rank_rows(average_precision))

_SINGLE = (
    _ACCURACY,
    Metric("macro_f1", True, _counts, _f1_present, effective=_effective_classes),
    Metric("balanced_accuracy", True, _counts, _recall_present, effective=_effective_classes),
    _MICRO_F1,
    _AUROC,
    _AVERAGE_PRECISION,
    _LOG_LOSS,
    _BRIER,
    _ECE,
)
_MULTI = (
    _MICRO_F1,
    Metric("macro_f1", True, _counts, _f1_all, effective=_effective_classes),
    _ACCURACY,
    _AUROC,
    _AVERAGE_PRECISION,
    _LOG_LOSS,
    _BRIER,
)
_REGRESSION = (
    Metric("rmse", False, _mean_of(lambda p: _error(p) ** 2), _root_mean, (0.0, math.inf), percent=False),
    Metric("mae", False, _mean_of(lambda p: np.abs(_error(p))), _mean, (0.0, math.inf), percent=False),
    Metric("r2", True, _squares, _r2, (-math.inf, 1.0), percent=False),
)

METRICS: dict[str, dict[str, Metric]] = {
    "single_label": {m.name: m for m in _SINGLE},
    "multi_label": {m.name: m for m in _MULTI},
    "regression": {m.name: m for m in _REGRESSION},
}
"for each kind of task its metrics by name, the default first; accuracy of multi-label is that of the whole label set"


OTHER_NAMES = {
    "auc": "auroc", "roc_auc": "auroc", "ap": "average_precision", "pr_auc": "average_precision",
    "auprc": "average_precision", "recall": "balanced_accuracy", "macro_recall": "balanced_accuracy",
    "nll": "log_loss", "cross_entropy": "log_loss",
}  # fmt: skip
"names that other libraries use, for suggestions"


def metric(kind: str, name: str | None = None) -> Metric:
    """The metric of that name for this kind of task, or its default: accuracy, micro_f1 or rmse.

    Raises `ConfigurationError`, with the nearest name, for one that this kind of task does not have.
    """
    return named(METRICS[kind], name, kind)


def named(metrics: Mapping[str, Metric], name: str | None, kind: str) -> Metric:
    """One of these, or the first; an unknown name raises `ConfigurationError` with the nearest."""
    if name is None:
        return next(iter(metrics.values()))
    if name not in metrics:
        if (same := OTHER_NAMES.get(name.lower())) in metrics:
            raise ConfigurationError(f"the metric {name!r} is called {same!r} here. Allowed: {', '.join(metrics)}.")
        raise unknown(f"metric for {kind} tasks", name, metrics)
    return metrics[name]


LARGEST, TIMES = 0.5, 3.0
"""a single-label task is imbalanced where the most frequent class has at least this share of the training examples, and
at least so many times as many as the other classes have on average"""


def imbalance(targets: np.ndarray, labels: Sequence[str]) -> str:
    """Why accuracy would mislead, such as `93 % of the training examples are 'normal'`; empty where it would not.

    targets: [n] class indices of the training examples. The test is `p >= max(1/2, 3 / (C + 2))` for the share p of
    the most frequent of C classes: guessing it always is then right that often and knows nothing.
    """
    if targets.ndim != 1 or targets.dtype.kind not in "iu" or len(labels) < 2 or not len(targets):
        return ""
    counts = np.bincount(targets, minlength=len(labels))
    share = counts.max() / counts.sum()
    if share < max(LARGEST, TIMES / (len(labels) + TIMES - 1)):
        return ""
    return f"{100 * share:.0f} % of the training examples are {labels[int(counts.argmax())]!r}"


def chosen_metric(data: Data, name: str | None = None) -> tuple[Metric, str]:
    """The metric by which models are compared on these data, and why it is that one where that needs a reason.

    name: the user's choice; left out, balanced accuracy where the training labels are imbalanced (`imbalance`), else
    the default of the kind of task. Raises `ConfigurationError` for an unknown name, and where the metric is not
    defined on the validation or test examples.
    """
    chosen, reason = data.task.metric(name), ""
    if name is None and (why := imbalance(data.train.targets, data.task.labels)):
        chosen, reason = data.task.metric("balanced_accuracy"), f"{why}, so that accuracy would mislead"
    for split, examples in (("validation", data.validation), ("test", data.test)):
        if len(examples) and not chosen.defined(examples.targets, data.task.outputs):
            raise ConfigurationError(
                f"{chosen.name} is not defined on the {split} examples: each class (or label) needs examples of it and "
                f"others, and there is none with both. Give other {split} examples, or choose another --metric."
            )
    return chosen, reason


def confusion(predictions: Predictions | Sequence[Predictions], n: int) -> tuple[tuple[int, ...], ...]:
    """[n, n] counts, rows: true class, columns: predicted class, summed over runs; empty unless single-label."""
    runs = [predictions] if isinstance(predictions, Predictions) else list(predictions)
    if not runs or runs[0].kind != "single_label":
        return ()
    pairs = np.concatenate([run.targets * n + run.scores.argmax(1) for run in runs])
    return tuple(tuple(int(x) for x in row) for row in np.bincount(pairs, minlength=n * n).reshape(n, n))


def per_class(predictions: Predictions | Sequence[Predictions], labels: Sequence[str]) -> tuple[ClassRow, ...]:
    """Precision, recall and F1 of each class from counts summed over runs; support is that of one run.

    None where a ratio has no denominator: precision of a class never predicted, recall of one without examples.
    Empty for regression.
    """
    runs = [predictions] if isinstance(predictions, Predictions) else list(predictions)
    if not runs or runs[0].kind == "regression":
        return ()
    return rows_of_classes(np.stack(_split(sum((_counts(run).sum(0) for run in runs), np.zeros(1)))), labels, len(runs))


def rows_of_classes(sums: np.ndarray, labels: Sequence[str], runs: int) -> tuple[ClassRow, ...]:
    """sums: [3, C] hits, predictions and truths of each class, over so many runs."""

    def share(above: float, below: float) -> float | None:
        return float(above / below) if below else None

    return tuple(
        ClassRow(label, share(h, p), share(h, t), share(2 * h, p + t), round(t / runs))
        for label, h, p, t in zip(labels, *sums, strict=True)
    )
