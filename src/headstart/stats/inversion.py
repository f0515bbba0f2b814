"""Test inversion bootstrap: intervals of metrics that noise increases, such as calibration error, and their changes.

The calibration error adds up absolute values, sum over bins of |s_b| / n. Noise increases absolute values, most of all
small ones, so neither the observed value nor the bootstrap around it is an unbiased estimate. Instead each e is tried
as the true value. Of all bin sums with this error, the ones nearest to the observed sums are taken (the constrained
maximum likelihood, here soft thresholding), the bootstrap's noise is added, and e is kept if the observed value is not
too rare (Carpenter 1999; for the choice of the nuisance parameters DiCiccio, Martin & Stern 2001). For small e, bins
that deviate by noise alone become 0. Shrinking all bins in proportion would keep their noise as structure, and the
interval would be too narrow.

- **Near 0.** No e lies below 0, so a true 0 can be missed on one side only, and all 5 % are spent there. As soon as the
  distribution moves away, both sides get 2.5 % (a unified interval in the sense of Feldman & Cousins 1998).
- **Bins with few examples**, all correct, do not show that none will be wrong: the noise includes one more example in
  each bin, as uncertain as the mean of all.
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
    """(value, low, high) of a metric with `sizes`, or of its change: one side (sign 1) minus the other (sign -1).

    sides: the statistics of the runs of each side, by sign.
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
    """(value, low, high) of a metric with `sizes`, mean over R runs.

    The value is the e for which the observed value is the median, so that a calibrated model has an interval from 0,
    and the value always lies in its interval. statistics: R times S [n, k], rows (examples or clusters) aligned.
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
        """[draws] of the metric if e is the true value."""
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
    """Distance of a distribution above the one with this median, in probability."""
    return max(0.0, 0.5 - float((found <= middle).mean()))


def _last(holds: Callable[[float], bool], scale: float, most: float) -> float:
    """The largest e in [0, most] for which it holds, if it holds for all smaller ones; 0 if for none."""
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
    """Soft thresholding: the m with sum |m| = size and the least sum of (m - seen)^2 / variance.

    m = sign(seen) max(0, |seen| - c variance), with c so that the absolute values add up to `size`; negative c
    increases them. Arrays of one shape.
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
    return max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half))  # because rounding crosses 0 and 1


def combined(signs: Sequence[int], estimates: Sequence[Estimate], correlation: np.ndarray) -> Estimate:
    """(value, low, high) of a signed sum of estimates, from their intervals (MOVER).

    The lower end is sqrt(l' C l) below the value: l are the signed distances of the estimates to the end of their
    interval that lowers the sum, C is the correlation of the estimates. The upper end is found alike. If one of the
    intervals starts at 0, its errors are not normal and the bootstrap's correlation does not hold; the distances are
    then added, as if all errors went together.
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
