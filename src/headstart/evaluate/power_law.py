"""How error falls with data: a saturating power law with intervals.

`error(n) = c + a n^-b` with c, a, b >= 0: c is what no amount of such data takes away. Least squares in the errors,
each divided by its standard error. Intervals by the parametric bootstrap: readings are drawn anew from normal
distributions with their standard errors, and fitted again. Source: Hestness et al. 2017, "Deep Learning Scaling is
Predictable, Empirically", section 3; Rosenfeld et al. 2020, "A Constructive Prediction of the Generalization Error
Across Scales".

A forecast far beyond the readings is one of the law, not of the data: with three or four readings its interval says how
little they hold it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares

DRAWS = 300
"fits for the intervals"
FARTHEST = 1e9
"examples beyond which a value counts as out of reach"


@dataclass(frozen=True)
class PowerLaw:
    """The fit, and those of the bootstrap: [3] and [DRAWS, 3] of c, log a, b."""

    fitted: np.ndarray
    drawn: np.ndarray

    def error(self, n: float) -> tuple[float, float, float]:
        """(error, low, high) at n training examples."""
        return self._of(lambda p: float(_error(p, np.array([float(n)]))[0]))

    @property
    def limit(self) -> tuple[float, float, float]:
        """(c, low, high)."""
        return self._of(lambda p: float(p[0]))

    def reach(self, error: float) -> tuple[float | None, float | None, float | None]:
        """(n, low, high): the examples at which the error falls to this; None where it never does."""

        def of(p: np.ndarray) -> float:
            if error <= p[0] or p[2] <= 0:
                return math.inf
            return math.exp(min(700.0, (p[1] - math.log(error - p[0])) / p[2]))

        found = self._of(of)
        value, low, high = (n if n < FARTHEST else None for n in found)
        return value, low, high

    def _of(self, what: Callable[[np.ndarray], float]) -> tuple[float, float, float]:
        values = np.array([what(p) for p in self.drawn])
        low, high = (float(np.quantile(values, q, method="nearest")) for q in (0.025, 0.975))
        value = float(what(self.fitted))
        return value, min(low, value), max(high, value)


def fit(n: Sequence[float], errors: Sequence[float], deviations: Sequence[float], seed: int = 0) -> PowerLaw:
    """n: training examples of each reading; errors: 1 - accuracy, or a loss; deviations: their standard errors.

    Raises `ValueError` for fewer than three different n.
    """
    x, y = np.asarray(n, dtype=np.float64), np.asarray(errors, dtype=np.float64)
    if len(np.unique(x)) < 3:
        raise ValueError("a law of three unknowns needs readings at three numbers of examples or more")
    spread = np.maximum(np.asarray(deviations, dtype=np.float64), 1e-4 * max(1e-12, float(y.max())))
    random = np.random.default_rng(seed)
    drawn = [_fitted(x, np.maximum(0.0, y + spread * random.standard_normal(len(y))), spread) for _ in range(DRAWS)]
    return PowerLaw(_fitted(x, y, spread), np.stack(drawn))


def _error(p: np.ndarray, n: np.ndarray) -> np.ndarray:
    error: np.ndarray = p[0] + np.exp(p[1] - p[2] * np.log(n))
    return error


def _fitted(x: np.ndarray, y: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """The best of fits that begin at several limits: the objective has more than one valley."""
    best, least = np.zeros(3), math.inf
    top = max(float(y.min()), 1e-9)
    for share in (0.0, 0.5, 0.9):
        above = np.maximum(y - share * top, 1e-6)
        slope, level = np.polyfit(np.log(x), np.log(above), 1)
        start = np.array([share * top, level, min(2.9, max(0.02, -slope))])
        bounds = ([-1e-12, -50.0, 0.0], [float(y.max()) + 1e-9, 50.0, 3.0])
        found = least_squares(lambda p: (_error(p, x) - y) / spread, start, bounds=bounds)
        if found.cost < least:
            best, least = found.x, found.cost
    return best
