"""The spread between seeds: what another choice of seeds would change in a mean over them, or in a difference of means.

The values of R seeds on the same examples have the variance s^2 between them: that of the seeds themselves, and the
noise of finitely many examples, which the bootstrap over examples measures. The variance of the mean is

    V = (bootstrap's variance of the mean - noise / R) + s^2 / R.

The first part is what all seeds share and is well known; s^2 / R has R - 1 degrees of freedom. Nothing is cut off at 0,
so V is unbiased where seeds do not differ too. Its Student's t has `f / share^1.25` degrees of freedom, share that of
the seeds' part in V and f the degrees of that part: R - 1, of two methods with seeds Satterthwaite's (1946), with f + 2
for f and then less 2 against its bias. The power lies between Satterthwaite's 2, for V as a whole, under which three
seeds that differ much cover 92 %, and 1, Cochran's (1964) weighting of quantiles to first order, under which three
that differ little cover 96.5 %; the sum of a normal and Student's t (Behrens & Fisher) covers 97.5 % there. With 1.25
three and more seeds cover 93.5 to 96 % whatever the share (normal values). No power serves two seeds, with their one
degree of freedom, where their own spread is most of V: they cover about 90 %.

Resampling 2 or 3 seeds with replacement would take too little for their spread (by (R - 1) / R) and count the noise
several times (Owen 2007).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri, stdtrit

POWER = 1.25
"of the share of seeds in the variance, in the degrees of freedom"
LEAST = 1 / 16
"of the bootstrap's variance: seeds that agree to the last answer leave at least a quarter of the width"


@dataclass(frozen=True)
class SeedSpread:
    """What the choice of seeds adds to the standard error, and how well that is known, in degrees of freedom."""

    error: float
    freedom: float = math.inf
    total: float = 0.0
    "the variance that seeds give the mean or difference, noise of examples included: s^2 / R of each method"
    noise: float = 0.0
    "what examples explain of it"
    total_freedom: float = math.inf

    def of_whole(self, error: float) -> float:
        """Degrees of freedom of the sum with a well-known standard error: (e^2 + s^2)^2 / (s^4 / freedom)."""
        if not self.error:
            return math.inf
        return float((error**2 + self.error**2) ** 2 * self.freedom / self.error**4)

    def draw(self, random: np.random.Generator, size: int) -> np.ndarray:
        """[size] of error times Student's t: seeds as they might have fallen."""
        return self.error * random.standard_t(self.freedom, size) if self.error else np.zeros(size)

    def stretch(self, variance: float, level: float) -> float:
        """How many times as wide as the bootstrap's, whose draws have this variance, an interval has to be."""
        if variance <= 0 or not self.noise + self.total:
            return 1.0
        whole = max(LEAST * variance, max(0.0, variance - self.noise) + self.total)
        tail = 0.5 - level / 2
        freedom = self.total_freedom * (whole / self.total) ** POWER if self.total else math.inf
        quantile = stdtrit(freedom, tail) / ndtri(tail) if math.isfinite(freedom) else 1.0
        return float(quantile * math.sqrt(whole / variance))


def seed_spread(*methods: tuple[np.ndarray, np.ndarray]) -> SeedSpread:
    """The spread between seeds in the sum or difference of the means of one or several methods, each over its R seeds.

    error^2 = sum over methods of max(0, s^2 - noise) / R, with s^2 the variance of the values [R] between seeds and
    noise the part of it that finitely many examples explain: the mean over draws of the variance between seeds of
    resampled [draws, R] - values. freedom = error^4 / sum of (s^2 / R)^2 / (R - 1), Satterthwaite's (1946) for a
    difference of mean squares, but at least 2. Tests and bounds, which are to err on the safe side, use these two.
    A method with one seed adds nothing.
    """
    square = doubt = total = explained = corrected = 0.0
    for values, resampled in methods:
        if (seeds := len(values)) > 1:
            spread = float(values.var(ddof=1))
            noise = float((resampled - values).var(axis=1, ddof=1).mean())
            square += max(0.0, spread - noise) / seeds
            doubt += (spread / seeds) ** 2 / (seeds - 1)
            total += spread / seeds
            explained += noise / seeds
            corrected += (spread / seeds) ** 2 / (seeds + 1)
    error, freedom = (math.sqrt(square), max(2.0, square**2 / doubt)) if square else (0.0, math.inf)
    return SeedSpread(error, freedom, total, explained, total**2 / corrected - 2 if corrected else math.inf)
