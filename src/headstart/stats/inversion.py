"""Test inversion bootstrap: intervals of what noise makes larger, such as the calibration error, and their differences.

The calibration error adds up sizes, sum over bins of |s_b| / n. Noise makes sizes larger, most where they are small, so
that neither the value nor the bootstrap around it can be read off as it is. Instead each e is tried as the truth: of
all bin sums with that error those are taken that are nearest to what was seen (the constrained maximum likelihood,
which here is soft thresholding), the bootstrap's noise is put on them, and e is kept where what was seen is not too
rare (Carpenter 1999; for the choice of the nuisance parameters DiCiccio, Martin & Stern 2001). Bins that were seen to
be out only by noise are 0 under small e: to shrink all bins in proportion would keep their noise as if it were
structure, and the interval would be too narrow.

- **Near 0.** No e lies below 0, so a true 0 can only be missed on one side, and there all 5 % are spent. As soon as the
  distribution moves, both sides get 2.5 % (a unified interval in the sense of Feldman & Cousins 1998).
- **Few examples in a bin** that were all right do not show that none will be wrong: the noise is that of one more
  example in each bin, as unsure as the mean of all.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from scipy.special import ndtri

from headstart.stats.metrics import Metric
from headstart.stats.resampling import bootstrap, bootstrap_sums, generator
from headstart.stats.seed_spread import seed_spread

Estimate = tuple[float, float, float]
"value, low, high"


def of_sizes(
    sides: Mapping[int, Sequence[np.ndarray]], metric: Metric, *, level: float, draws: int, seed: int
) -> Estimate:
    """(value, low, high) of a metric with `sizes`, or of its change: that of one side (sign 1) less another's (-1).

    sides: sign to the statistics of its runs.
    """
    parts = [(sign, list(statistics)) for sign, statistics in sides.items()]
    if metric.of_change is not None:
        metric = metric.of_change
        parts = [
            (sign * of_half, [np.hsplit(rows, 2)[half] for rows in statistics])
            for sign, statistics in parts
            for of_half, half in ((1, 1), (-1, 0))
        ]
    estimates = [inverted(statistics, metric, level=level, draws=draws, seed=seed) for _, statistics in parts]
    if len(parts) == 1:
        return estimates[0]
    together = bootstrap([rows for _, runs in parts for rows in runs], metric, draws=draws, seed=seed)
    ends = np.cumsum([len(runs) for _, runs in parts])[:-1]
    means = np.stack([each.mean(1) for each in np.split(together, ends, axis=1)])
    spread = means.std(1)
    covariance = np.cov(means) / np.outer(spread, spread).clip(1e-12) * (draws - 1) / draws
    np.fill_diagonal(covariance, 1.0)
    return combined([sign for sign, _ in parts], estimates, covariance)


def inverted(
    statistics: Sequence[np.ndarray], metric: Metric, *, level: float = 0.95, draws: int = 2000, seed: int = 0
) -> Estimate:
    """(value, low, high) of a metric with `sizes`, mean over R runs; the value is the e under which what was seen is
    the median, so that a calibrated model has an interval from 0 and no value lies outside its interval.

    statistics: R times S [n, k], rows (examples or clusters) aligned.
    """
    rows, runs, k = np.stack(statistics, 1), len(statistics), statistics[0].shape[1]  # [n, R, k]
    sums = rows.sum(0)  # [R, k]
    drawn = np.concatenate(list(bootstrap_sums(np.hstack(statistics), draws, generator(seed, "examples"))))
    noise = drawn.reshape(draws, runs, k) - sums
    if not noise.any():
        value = float(metric.value(sums).mean())
        return value, 0.0, wilson(min(1.0, value), len(rows), level)[1]
    values = metric.value(sums)  # [R]
    resampled = metric.value(sums + noise)  # [draws, R]
    times = seed_spread((values, resampled)).stretch(float(resampled.mean(1).var()), level)
    seen = float(values.mean())
    one_more = (rows[..., :-1] ** 2).sum(2).mean(0)[:, None] * rows[..., :-1].any(0)  # [R, k - 1], a variance
    random = generator(seed, "one more")
    noise[..., :-1] += np.sqrt(one_more) * random.standard_normal(noise[..., :-1].shape)
    variance = (noise[..., :-1] ** 2).mean(0)  # [R, k - 1]

    def tried(e: float) -> np.ndarray:
        """[draws] of the metric where e is the truth."""
        truth = sums.copy()
        truth[:, :-1] = nearest(sums[:, :-1], variance, e * sums[:, -1].sum())
        found = metric.value(truth + noise).mean(1)
        centre = found.mean()
        moved: np.ndarray = centre + times * (found - centre)
        return moved

    tail, middle = 0.5 - level / 2, float(np.median(tried(0.0)))

    def too_low(e: float) -> bool:
        found = tried(e)
        return bool((found <= seen).mean() >= level + min(tail, _moved(found, middle)))

    def not_too_high(e: float) -> bool:
        found = tried(e)
        return bool((found <= seen).mean() > min(tail, _moved(found, middle)))

    ends = (lambda e: bool((tried(e) <= seen).mean() > 0.5)), too_low, not_too_high
    value, low, high = (_last(holds, max(seen, 1e-6), metric.bounds[1]) for holds in ends)
    return value, min(low, value), max(high, value)


def _moved(found: np.ndarray, middle: float) -> float:
    """How far a distribution lies above the one with this median, in probability."""
    return max(0.0, 0.5 - float((found <= middle).mean()))


def _last(holds: Callable[[float], bool], scale: float, most: float) -> float:
    """The largest e in [0, most] for which it holds, if it holds up to there and no longer; 0 if nowhere."""
    if not holds(0.0):
        return 0.0
    below, above = 0.0, min(most, 2 * scale)
    while above < most and holds(above):
        below, above = above, min(most, 2 * above)
    for _ in range(20):
        middle = (below + above) / 2
        below, above = (middle, above) if holds(middle) else (below, middle)
    return above


def nearest(seen: np.ndarray, variance: np.ndarray, size: float) -> np.ndarray:
    """The m of sum |m| = size with the least sum of (m - seen)^2 / variance: sign(seen) max(0, |seen| - c variance).

    c is such that the sizes add up, negative where they have to grow. Arrays of one shape.
    """
    a, v = np.abs(seen).ravel(), np.maximum(variance, 1e-12).ravel()
    order = np.argsort(-a / v)
    c = float(((np.cumsum(a[order]) - size) / np.cumsum(v[order])).max())
    moved: np.ndarray = np.where(seen < 0, -1.0, 1.0) * np.maximum(0.0, np.abs(seen) - c * np.maximum(variance, 1e-12))
    return moved


def wilson(share: float, n: float, level: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval for a share of n: the p with |share - p| <= z sqrt(p (1 - p) / n)."""
    z2 = float(ndtri(0.5 + level / 2)) ** 2
    centre = (share * n + z2 / 2) / (n + z2)
    half = math.sqrt(z2) / (n + z2) * math.sqrt(max(0.0, share * (1 - share) * n) + z2 / 4)
    return max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half))  # at 0 and 1 rounding crosses it


def combined(signs: Sequence[int], estimates: Sequence[Estimate], correlation: np.ndarray) -> Estimate:
    """(value, low, high) of a signed sum of estimates, from their own intervals (MOVER).

    The lower end lies sqrt(l' C l) below the value, l the distances of each estimate to the end of its interval that
    lowers the sum, with their signs, and C the correlation of the estimates; the upper end so above. Where one of the
    intervals starts at 0 the errors are not normal and their correlation is not that of the bootstrap: the distances
    are then added, as if all erred together.
    Source: Zou & Donner, Statistics in Medicine 27 (2008); Zou, Huang & Zhang 2009 for several.
    """
    value = sum(sign * one[0] for sign, one in zip(signs, estimates))
    if min(low for _, low, _ in estimates) <= 0:
        correlation = np.outer(signs, signs)

    def distance(lower: bool) -> float:
        away = np.array(
            [one[0] - one[1] if (sign > 0) == lower else one[2] - one[0] for sign, one in zip(signs, estimates)]
        ) * np.array(signs)
        return math.sqrt(max(0.0, float(away @ correlation @ away)))

    return value, value - distance(True), value + distance(False)
