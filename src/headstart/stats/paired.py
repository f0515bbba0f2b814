"""Paired comparison: is one method better than another on the same examples?

**Test.** If the methods did not differ, swapping their answers to any example (for all seeds together, and for all
examples of a cluster) would change the difference by chance alone. The two-sided p-value is the share of swap patterns
with a difference as large as the observed one: (1 + count) / (1 + permutations) over random patterns (Phipson & Smyth
2010), or the exact share over all 2^m patterns if only m <= 12 examples matter. With one seed per method and accuracy,
this is McNemar's exact test.

**Seeds.** Swapping examples compares these trained models. Only the spread between seeds shows that other seeds might
have reversed the order: the part of it that the examples do not explain is added as noise to the null distribution, and
the interval is stretched by it (`seed_spread`). With one seed per method it is unknown: the test is then about the two
trained models, not about the two methods.

Simulated (`tests/stats/test_paired.py`, slow; 1000 examples, 87 % correct, alpha 5 %), false positives and power
against 3 points: one seed 4.6 % and 61 %; three seeds that do not differ 2.3 % and 76 %, that differ by 1.2 points
(standard deviation) 4.5 % and 32 %; two such seeds 6.6 % and 29 %; five 2.2 % and 55 %. Read as a test of the methods,
one seed is wrong 7 % of the time if seeds differ by 0.4 points, and 21 % if they differ by 1.2.

**Interval.** Percentile bootstrap over examples or clusters, with the same draws for both methods. If fewer than 10
examples distinguish the methods, it is widened to contain Agresti & Min's (2005) interval, which adds two imagined
pairs, so that agreement on 20 examples does not count as certainty. Only methods with equal scores get [0, 0]. The
interval of a difference of calibration errors is combined from the intervals of both sides (`inversion.combined`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import ndtri

from headstart.stats.intervals import FEW, independent, percentiles
from headstart.stats.inversion import of_sizes
from headstart.stats.metrics import Metric
from headstart.stats.predictions import Predictions, aligned
from headstart.stats.resampling import bootstrap, by_cluster, distinct, effective_clusters, generator, swap_sums
from headstart.stats.seed_spread import SeedSpread, seed_spread

EXACT = 12
"maximum number m of examples or clusters that matter for which all 2^m swaps are counted"


@dataclass(frozen=True)
class Paired:
    """Metric of A minus metric of B (means over seeds), its interval, and the p-value of no difference."""

    difference: float
    low: float
    high: float
    p_value: float
    seed_error: float = 0.0
    "standard error from the spread between seeds, which more examples do not reduce"
    error: float = 0.0
    "standard error over examples or clusters"
    unit: float = 0.0
    "the most that one example or cluster can change; 0 if the methods have equal scores"
    freedom: float = math.inf
    "degrees of freedom of both standard errors together"


def compare(
    a_runs: Sequence[Predictions],
    b_runs: Sequence[Predictions],
    metric: Metric,
    *,
    permutations: int = 5000,
    seed: int = 0,
    level: float = 0.95,
    draws: int = 2000,
) -> Paired:
    """The paired difference A - B, with interval and two-sided p-value.

    One run per seed. A and B may have different numbers of runs; each is then paired with several of the other's.
    Raises `ValueError` for no runs, different examples, no examples, or scores that are not finite.
    """
    if not a_runs or not b_runs:
        raise ValueError("a paired comparison needs at least one run of each method")
    runs = aligned(*a_runs, *b_runs)
    if _same(runs[: len(a_runs)], runs[len(a_runs) :]):
        return Paired(0.0, 0.0, 0.0, 1.0)
    examples = [metric.statistics(run) for run in runs]
    split, clusters, n = len(a_runs), runs[0].clusters, len(runs[0])
    statistics = [by_cluster(rows, clusters) for rows in examples]
    values = metric.value(np.stack([rows.sum(0) for rows in statistics]))  # [A + B]
    difference = float(values[:split].mean() - values[split:].mean())
    if math.isnan(difference):  # undefined on these examples, such as AUROC of one class
        return Paired(math.nan, math.nan, math.nan, math.nan)

    resampled = bootstrap(statistics, metric, draws=draws, seed=seed)  # [draws, A + B]
    spread = seed_spread((values[:split], resampled[:, :split]), (values[split:], resampled[:, split:]))
    gaps = resampled[:, :split].mean(1) - resampled[:, split:].mean(1)  # [draws]
    units, (bottom, top) = len(statistics[0]), metric.bounds
    times = spread.stretch(float(gaps.var()), level)
    low, high = (difference + times * (end - difference) for end in percentiles(gaps, level, units))
    low, high = (min(max(end, bottom - top), top - bottom) for end in (low, high))
    pairs = list(zip(*_as_many(examples[:split], examples[split:])))
    unit = largest_change(statistics[:split], statistics[split:], metric)
    if metric.effective is not None:
        share = max(abs(difference), float(np.mean([(x != y).any(1) for x, y in pairs])))
        count = metric.effective(statistics[0].sum(0))
        unit = max(unit, n / effective_clusters(clusters, n) / count) if count else math.nan
        if clusters is not None or len(runs) > 2:
            least = count * effective_clusters(clusters, n) / n
            fewest, most = least if len(runs) == 2 else 1.0, count * math.lcm(split, len(runs) - split)
            variance = float(gaps.var()) * times**2
            count = independent(share - difference**2, variance, most, fewest) if variance else least
        if count * share < FEW:
            wide_low, wide_high = agresti_min(difference, share, count, level)
            low, high = min(low, wide_low), max(high, wide_high)
    elif sum(np.any([(x != y).any(1) for x, y in zip(*_as_many(statistics[:split], statistics[split:]))], axis=0)) < 2:
        low = high = math.nan
    p_value = _swap_test(statistics[:split], statistics[split:], metric, difference, spread, permutations, seed)
    if metric.of_sizes:
        sides = {1: statistics[:split], -1: statistics[split:]}
        difference, low, high = of_sizes(sides, metric, level=level, draws=draws, seed=seed)
    error = float(gaps.std(ddof=1)) * math.sqrt(units / (units - 1)) if units > 1 else math.nan
    freedom = max(1.0, min(units - 1, spread.of_whole(error)))
    return Paired(difference, low, high, p_value, spread.error, error, unit, freedom)


def oriented(found: Paired, higher_is_better: bool) -> Paired:
    """The difference with more as better; its sign changes for a metric that should be small."""
    if higher_is_better:
        return found
    return replace(found, difference=-found.difference, low=-found.high, high=-found.low)


def _same(a_runs: Sequence[Predictions], b_runs: Sequence[Predictions]) -> bool:
    """True if the scores are equal; scores of only 0 and 1 are mere answers, whose agreement can be chance."""
    alike = len(a_runs) == len(b_runs) and all(np.array_equal(a.scores, b.scores) for a, b in zip(a_runs, b_runs))
    return alike and not all(np.isin(run.scores, (0, 1)).all() for run in a_runs)


def largest_change(a: Sequence[np.ndarray], b: Sequence[np.ndarray], metric: Metric) -> float:
    """The largest change of the metric if B's statistics replace A's in one row; 0 if no row differs."""
    a, b = _as_many(list(a), list(b))
    matter = np.any([(x != y).any(1) for x, y in zip(a, b)], axis=0)
    change = np.hstack([y[matter] - x[matter] for x, y in zip(a, b)])
    if not len(change):
        return 0.0
    different, _ = distinct(change)
    moved = different.reshape(len(different), len(a), -1)
    sums = np.stack([rows.sum(0) for rows in a])  # [R, k]
    return float(np.abs((metric.value(sums + moved) - metric.value(sums)).mean(1)).max())


def _as_many(a: list[np.ndarray], b: list[np.ndarray]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Both lists repeated to their least common length, so that each entry has a partner; the means stay the same."""
    length = math.lcm(len(a), len(b))
    return a * (length // len(a)), b * (length // len(b))


def _swap_test(
    a: list[np.ndarray],
    b: list[np.ndarray],
    metric: Metric,
    difference: float,
    spread: SeedSpread,
    permutations: int,
    seed: int,
) -> float:
    """P-value of swapping rows of the pairs a[r], b[r], with the spread between seeds added."""
    a, b = _as_many(a, b)
    matter = np.any([(x != y).any(1) for x, y in zip(a, b)], axis=0)  # [n]
    m, k = int(matter.sum()), a[0].shape[1]
    if m == 0:
        return 1.0
    change = np.hstack([y[matter] - x[matter] for x, y in zip(a, b)])  # [m, R k]
    a_sum, b_sum = (np.stack([rows.sum(0) for rows in side]) for side in (a, b))  # [R, k]

    def swapped(moved: np.ndarray) -> np.ndarray:
        moved = moved.reshape(len(moved), len(a), k)
        return (metric.value(a_sum + moved) - metric.value(b_sum - moved)).mean(1)  # [patterns]

    bar = abs(difference) - 1e-10 * (
        1 + abs(difference)
    )  # so that ties with the observed difference count despite rounding
    if m <= EXACT and not spread.error:
        patterns = np.arange(2**m)[:, None] >> np.arange(m) & 1
        return float((np.abs(swapped(patterns @ change)) >= bar).mean())
    noise, count = generator(seed, "null seeds"), 0
    for moved in swap_sums(change, permutations, generator(seed, "swaps")):
        count += int((np.abs(swapped(moved) + spread.draw(noise, len(moved))) >= bar).sum())
    return (1 + count) / (1 + permutations)


def agresti_min(difference: float, discordant: float, n: float, level: float = 0.95) -> tuple[float, float]:
    """Interval of a difference of paired shares after adding half a pair to each of the four cells.

    d +- z sqrt((m + 1) - (c - b)^2 / N) / N, with N = n + 2, d = (c - b) / N, m = b + c = discordant n.
    Source: Agresti & Min, Statistics in Medicine 24 (2005), section 4.
    """
    z, total, net = float(ndtri(0.5 + level / 2)), n + 2, difference * n
    half = z * math.sqrt(max(0.0, discordant * n + 1 - net**2 / total)) / total
    return max(-1.0, net / total - half), min(1.0, net / total + half)


def holm(p_values: Sequence[float], most: float = 1.0) -> list[float]:
    """Holm's adjusted p-values: if those <= alpha are rejected, any false rejection has probability <= alpha.

    Sorted p_(1) <= … <= p_(m) become max over j <= i of min(most, (m - j + 1) p_(j)). Source: Holm 1979.
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(most, np.maximum.accumulate((len(p) - np.arange(len(p))) * p[order]))
    return adjusted.tolist()
