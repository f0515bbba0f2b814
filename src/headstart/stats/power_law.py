"""Scaling law of the error with the amount of data: a saturating power law with intervals.

`error(n) = c + a n^-b` with c, a, b >= 0; c is the error that more data can't remove. The fit is by least squares in
the errors, each divided by its standard error. Intervals come from the parametric bootstrap: readings are drawn from
normal distributions with their standard errors, and fitted again. Source: Hestness et al. 2017, "Deep Learning Scaling
is Predictable, Empirically", section 3; Rosenfeld et al. 2020, "A Constructive Prediction of the Generalization Error
Across Scales".

A forecast far beyond the readings depends on the law more than on the data; with three or four readings its interval is
wide.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

DRAWS = 300
"number of bootstrap fits for the intervals"
STEEPEST = 3.0
"largest exponent"
LEAST = 1e-20
"of a, whose logarithm is kept"
FARTHEST = 1e9
"number of examples above which a value counts as out of reach"


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
        """(n, low, high): number of examples at which the error falls to this value; None if never."""

        def of(p: np.ndarray) -> float:
            if p[2] <= 0:  # as level as it is, it is above that everywhere or nowhere
                return 0.0 if error >= p[0] + math.exp(p[1]) else math.inf
            if error <= p[0]:
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
    drawn = np.maximum(0.0, y + spread * random.standard_normal((DRAWS, len(y))))
    found = _fitted(x, np.concatenate([y[None], drawn]), spread)
    return PowerLaw(found[0], found[1:])


def _error(p: np.ndarray, n: np.ndarray) -> np.ndarray:
    error: np.ndarray = p[0] + np.exp(p[1] - p[2] * np.log(n))
    return error


def _fitted(x: np.ndarray, y: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """[draws, 3]: c, log a and b for each row of y [draws, readings].

    Of an exponent the best c and a are known. The misfit may have more than one valley over the exponents: it is looked
    at over all of them, then ever closer around the lowest.
    """
    shifts, every = np.linspace(-1.0, 1.0, 41), np.arange(len(y))
    exponents = np.tile(np.linspace(0.0, STEEPEST, 301), (len(y), 1))  # [draws, tried]
    for step in (1e-2, 5e-4, 2.5e-5, 0.0):
        limit, scale, misfit = _given(exponents, x / x.min(), y, spread)
        best = every, misfit.argmin(1)
        exponent = exponents[best]
        exponents = np.clip(exponent[:, None] + step * shifts, 0.0, STEEPEST)
    level = np.log(np.maximum(scale[best], LEAST)) + exponent * np.log(x.min())
    return np.stack([limit[best], level, exponent], 1)


def _given(
    exponents: np.ndarray, x: np.ndarray, y: np.ndarray, spread: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each exponent [draws, tried] the c and a >= 0 with the least squares, and these.

    Linear in both: if either were negative, it is zero. Of a level line all is limit.
    """
    falls = x ** -exponents[..., None] / spread  # [draws, tried, readings]
    ones, errors = 1 / spread, (y / spread)[:, None]
    one, fall, cross = (ones**2).sum(), (falls**2).sum(-1), (falls * ones).sum(-1)
    level, fallen = (errors * ones).sum(-1), (errors * falls).sum(-1)
    bent = one * fall - cross**2
    sloped = bent > 1e-9 * one * fall
    scale = (one * fallen - cross * level) / np.where(sloped, bent, 1.0)
    none = np.zeros_like(scale)
    both = (level - scale * cross) / one, scale, sloped & (scale >= 0) & (scale * cross <= level)
    tried = [(level / one + none, none, none == 0), both, (none, fallen / fall, sloped)]
    misfits = [
        np.where(allowed, ((c[..., None] * ones + a[..., None] * falls - errors) ** 2).sum(-1), np.inf)
        for c, a, allowed in tried
    ]
    best = np.argmin(misfits, 0)[None]
    limits, scales, _ = zip(*tried)
    limit, scale, misfit = (np.take_along_axis(np.stack(one), best, 0)[0] for one in (limits, scales, misfits))
    return limit, scale, misfit
