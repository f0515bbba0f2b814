"""Intervals of a metric as a mean over seeds: what the method would score on other examples and other seeds.

Two sources of chance are kept apart, since they are resampled differently:

- **Examples** by the bootstrap: each draw takes n examples with replacement, the same ones for all seeds; where they
  come in clusters (`Predictions.clusters`), whole clusters. Percentiles are expanded for few of them (`percentiles`).
- **Seeds** by their spread beyond what the examples explain. The seeds' values differ by the true spread between
  seeds plus the noise of finitely many examples; the bootstrap measures the latter, and the rest, where positive,
  is added to the draws as normal noise of variance (s^2 - noise) / seeds. Resampling 2 or 3 seeds with replacement
  would take too little for the former (by (R - 1) / R) and count the latter several times (Owen 2007).

With one seed the spread between seeds can't be known: the interval is then of *that trained model*, not of the method.

Near 0 and 1 the percentile bootstrap is too sure of itself ([1, 1] where all examples are right). For metrics in
[0, 1] with fewer than 10 (effective) errors or successes, the interval is widened to hold Wilson's (1927) score
interval as well, of as many independent examples as the clusters amount to. With few errors in a rare class and many
in others, macro averages remain somewhat optimistic.

Simulated coverage of the 95 % interval of accuracy (`tests/stats/test_intervals.py`, slow; 500 examples, 87 %
right): one seed 94.8 %; three seeds that do not differ 97.1 %, that differ by 1.2 points (standard deviation) 95.8 %;
two such seeds 94.0 %, five 95.6 %; 98.6 % right with one seed 98.2 %.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri, stdtrit

from headstart.stats.metrics import Metric
from headstart.stats.predictions import Predictions, aligned
from headstart.stats.resampling import bootstrap_sums, by_cluster, effective_clusters, generator

FEW = 10
"with fewer effective errors or successes than this the bootstrap is not trusted alone"


def interval(
    runs: Sequence[Predictions], metric: Metric, *, level: float = 0.95, draws: int = 2000, seed: int = 0
) -> tuple[float, float, float]:
    """(value, low, high): the mean of the metric over runs (one a seed) and its percentile interval.

    Low and high are NaN for an unbounded metric of a single example. Raises `ValueError` for no runs, different
    examples in the runs, no examples, or scores that are not finite.
    """
    if not runs:
        raise ValueError("an interval needs the predictions of at least one run")
    together = aligned(*runs)
    clusters, n = together[0].clusters, len(together[0])
    statistics = [by_cluster(metric.statistics(run), clusters) for run in together]
    values = metric.value(np.stack([rows.sum(0) for rows in statistics]))  # [R]
    value = float(values.mean())
    if metric.scaled is not None:
        return inverted(statistics, metric, level=level, draws=draws, seed=seed)
    resampled = bootstrap(statistics, metric, draws=draws, seed=seed)  # [draws, R]
    noise = seed_spread((values, resampled)).draw(generator(seed, "seeds"), draws)
    units = len(statistics[0])
    low, high = percentiles(np.clip(resampled.mean(1) + noise, *metric.bounds), level, units)
    if metric.effective is not None and metric.bounds == (0.0, 1.0):
        count = metric.effective(statistics[0].sum(0))
        if clusters is not None:
            least = count * effective_clusters(clusters, n) / n
            count = independent(value * (1 - value), float(resampled.mean(1).var()), count, least)
        if count * min(value, 1 - value) < FEW:
            wilson_low, wilson_high = wilson(value, count, level)
            low, high = min(low, wilson_low), max(high, wilson_high)
    elif units < 2:
        low = high = math.nan
    return value, low, high


def inverted(
    statistics: Sequence[np.ndarray], metric: Metric, *, level: float = 0.95, draws: int = 2000, seed: int = 0
) -> tuple[float, float, float]:
    """(value, low, high) of a metric that noise makes larger, such as the calibration error, by inverting a test.

    Were the true sums t times those seen, s, sums around t s would be observed with the bootstrap's noise, and the
    metric m would have a distribution that grows with t. The interval holds the t m(s) under which what was seen is no
    rarer than 2.5 % on either side, and the value is that under which it is the median. So a calibrated model gets an
    interval from 0, and no value lies outside its interval. Source: Carpenter 1999, "Test inversion bootstrap
    confidence intervals".
    """
    scaled, k = metric.scaled, statistics[0].shape[1]
    assert scaled is not None
    sums = np.stack([rows.sum(0) for rows in statistics])  # [R, k]
    drawn = np.concatenate(list(bootstrap_sums(np.hstack(statistics), draws, generator(seed, "examples"))))
    noise = drawn.reshape(draws, len(sums), k) - sums
    values = metric.value(sums)  # [R]
    luck = seed_spread((values, metric.value(sums + noise))).draw(generator(seed, "seeds"), draws)
    seen = float(values.mean())

    def under(times: float) -> float:
        """How often no more than what was seen comes, where the truth is so many times what was seen."""
        return float((metric.value(scaled(sums, times) + noise).mean(1) + luck <= seen).mean())

    def end(share: float) -> float:
        if under(0.0) <= share:
            return 0.0
        below, above = 0.0, 2.0
        while under(above) > share and above < 1e6:
            above *= 2
        for _ in range(25):
            middle = (below + above) / 2
            below, above = (middle, above) if under(middle) > share else (below, middle)
        return above * seen

    tail = 0.5 - level / 2
    value, low, high = (min(end(share), metric.bounds[1]) for share in (0.5, 1 - tail, tail))
    return value, low, high if noise.any() else max(high, wilson(min(1.0, seen), len(statistics[0]), level)[1])


def wilson(share: float, n: float, level: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval for a share of n: the p with |share - p| <= z sqrt(p (1 - p) / n)."""
    z2 = float(ndtri(0.5 + level / 2)) ** 2
    centre = (share * n + z2 / 2) / (n + z2)
    half = math.sqrt(z2) / (n + z2) * math.sqrt(max(0.0, share * (1 - share) * n) + z2 / 4)
    return max(0.0, centre - half), min(1.0, centre + half)


def percentiles(draws: np.ndarray, level: float, n: float = math.inf) -> tuple[float, float]:
    """The expanded percentile interval of bootstrap draws of n units.

    The quantiles at Phi(+-sqrt(n / (n - 1)) t), t that of Student with n - 1 degrees: the plain percentiles of few
    units are too narrow by so much. Source: Hesterberg 2015, "What Teachers Should Know About the Bootstrap".
    """
    tail = 0.5 - level / 2
    if math.isfinite(n) and n >= 2:
        tail = float(ndtr(math.sqrt(n / (n - 1)) * stdtrit(n - 1, tail)))
    low, high = np.quantile(draws, [tail, 1 - tail])
    return float(low), float(high)


def bootstrap(statistics: Sequence[np.ndarray], metric: Metric, *, draws: int, seed: int) -> np.ndarray:
    """[draws, R] values of the metric on n rows drawn with replacement, the same ones for all R models.

    statistics: R times S [n, k], rows (examples or clusters) aligned.
    """
    k = statistics[0].shape[1]
    sums = bootstrap_sums(np.hstack(statistics), draws, generator(seed, "examples"))  # chunks [size, R k]
    return np.concatenate([metric.value(chunk.reshape(len(chunk), len(statistics), k)) for chunk in sums])


def independent(share: float, variance: float, n: float, least: float) -> float:
    """As many independent examples as vary like these: `share / variance`, between `least` and n.

    share: the variance of one example, such as p (1 - p); variance: that of the mean, by a bootstrap over clusters.
    """
    return min(n, max(least, share / variance)) if variance > 0 else least


@dataclass(frozen=True)
class SeedSpread:
    """What the choice of seeds adds to the standard error, and how well that is known, in degrees of freedom."""

    error: float
    freedom: float = math.inf

    def of_whole(self, error: float) -> float:
        """Degrees of freedom of the sum with a well-known standard error: (e^2 + s^2)^2 / (s^4 / freedom)."""
        if not self.error:
            return math.inf
        return float((error**2 + self.error**2) ** 2 * self.freedom / self.error**4)

    def draw(self, random: np.random.Generator, size: int) -> np.ndarray:
        """[size] of error times Student's t: seeds as they might have fallen."""
        return self.error * random.standard_t(self.freedom, size) if self.error else np.zeros(size)


def seed_spread(*methods: tuple[np.ndarray, np.ndarray]) -> SeedSpread:
    """The spread between seeds in the sum or difference of the means of one or several methods, each over its R seeds.

    error^2 = sum over methods of max(0, s^2 - noise) / R, with s^2 the variance of the values [R] between seeds and
    noise the part of it that finitely many examples explain: the mean over draws of the variance between seeds of
    resampled [draws, R] - values. freedom = error^4 / sum of (s^2 / R)^2 / (R - 1), Satterthwaite's (1946) for a
    difference of mean squares, but at least 2, so that the intervals of two seeds stay finite in width.
    A method with one seed adds nothing.
    """
    square = doubt = 0.0
    for values, resampled in methods:
        if (seeds := len(values)) > 1:
            spread = float(values.var(ddof=1))
            noise = float((resampled - values).var(axis=1, ddof=1).mean())
            square += max(0.0, spread - noise) / seeds
            doubt += (spread / seeds) ** 2 / (seeds - 1)
    if square == 0:
        return SeedSpread(0.0)
    return SeedSpread(math.sqrt(square), max(2.0, square**2 / doubt))
