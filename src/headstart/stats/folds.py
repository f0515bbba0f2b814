"""Intervals and tests over cross-validation (corrected resampled t-test, Nadeau & Bengio 2003).

Values of folds are not independent: their training sets overlap. With K values of variance s^2 between them, each from
n_test examples by a model that n_train trained, the variance of their mean is taken as

    (1 / K + n_test / n_train) s^2,

and the mean over its root is compared with Student's t of K - 1 degrees of freedom. K values alone can agree by chance,
so that interval and p-value are never narrower than those of the pooled predictions, resampled by example or cluster
(`intervals`, `paired`), which know what finitely many examples leave open but not what other training examples would.

Source: Nadeau & Bengio, Inference for the generalization error, Machine Learning 52 (2003), section 3; for repeated
cross-validation Bouckaert & Frank 2004.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr, stdtrit

from headstart.stats.intervals import interval
from headstart.stats.metrics import Metric
from headstart.stats.paired import Paired, compare
from headstart.stats.predictions import Predictions, aligned

Runs = Sequence[Predictions]


@dataclass(frozen=True)
class Folds:
    """Structure of runs: `count` folds that test every example once, in as many repetitions as there are runs."""

    count: int

    @property
    def ratio(self) -> float:
        """n_test / n_train of folds of equal size."""
        return 1 / (self.count - 1)

    def pooled(self, runs: Runs) -> list[Predictions]:
        """Predictions of all examples, per repetition."""
        return [_joined(runs[at : at + self.count]) for at in range(0, len(runs), self.count)]

    def interval(
        self, runs: Runs, metric: Metric, *, level: float = 0.95, draws: int = 2000, seed: int = 0
    ) -> tuple[float, float, float]:
        """(value, low, high): the mean over folds and its interval."""
        values = np.array([metric.of(run) for run in runs])
        value = float(values.mean())
        half = self._error(values) * _quantile(0.5 + level / 2, len(values) - 1)
        pooled, low, high = interval(self.pooled(runs), metric, level=level, draws=draws, seed=seed)
        bottom, top = metric.bounds
        return value, max(bottom, value - max(half, pooled - low)), min(top, value + max(half, high - pooled))

    def compare(self, a_runs: Runs, b_runs: Runs, metric: Metric, *, permutations: int = 5000, seed: int = 0,
                level: float = 0.95, draws: int = 2000) -> Paired:  # fmt: skip
        """The paired difference A - B, fold by fold. Raises `ValueError` if folds have different examples."""
        pairs = [aligned(a, b) for a, b in zip(a_runs, b_runs, strict=True)]
        differences = np.array([metric.of(a) - metric.of(b) for a, b in pairs])
        pooled = compare(
            self.pooled(a_runs), self.pooled(b_runs), metric, permutations=permutations, seed=seed, level=level,
            draws=draws,
        )  # fmt: skip
        difference, freedom = float(differences.mean()), len(differences) - 1
        error = max(self._error(differences), math.hypot(pooled.error, pooled.seed_error))
        half = error * _quantile(0.5 + level / 2, freedom)
        low = difference - max(half, pooled.difference - pooled.low)
        high = difference + max(half, pooled.high - pooled.difference)
        p_value = 2 * float(stdtr(freedom, -abs(difference) / error)) if error > 0 else 1.0
        return Paired(
            difference, low, high, max(p_value, pooled.p_value), 0.0, error, pooled.unit, float(freedom),
        )  # fmt: skip

    def _error(self, values: np.ndarray) -> float:
        """Standard error of the mean of values [K]."""
        return math.sqrt((1 / len(values) + self.ratio) * float(values.var(ddof=1)))


def _joined(runs: Runs) -> Predictions:
    clusters = [run.clusters for run in runs]
    return Predictions(
        np.concatenate([run.ids for run in runs]),
        np.concatenate([run.targets for run in runs]),
        np.concatenate([run.scores for run in runs]),
        np.concatenate([one for one in clusters if one is not None]) if all(c is not None for c in clusters) else None,
    )


def _quantile(share: float, freedom: int) -> float:
    return float(stdtrit(freedom, share))
