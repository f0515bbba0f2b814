"""Intervals of a metric as a mean over seeds: what the method would score on other examples and other seeds.

Two sources of chance are kept apart, since they are resampled differently:

- **Examples** by the bootstrap: each draw takes n examples with replacement, the same ones for all seeds; where they
  come in clusters (`Predictions.clusters`), whole clusters. Percentiles are expanded for few of them (`percentiles`).
- **Seeds** by their variance (`seed_spread`), which takes the place of what the bootstrap says of them: it draws
  examples, so it sees what a finite number of them adds to the differences between seeds, and nothing of the seeds'
  own. The bootstrap's interval is stretched to the standard error and Student's quantile of both together.

With one seed the spread between seeds can't be known: the interval is then of *that trained model*, not of the method.

Near 0 and 1 the percentile bootstrap is too sure of itself ([1, 1] where all examples are right). The interval of
accuracy is therefore Wilson's (1927) score interval, of as many independent examples as vary like the mean over seeds
and clusters (Korn & Graubard 1998). For other metrics in [0, 1] with fewer than 10 (effective) errors or successes the
bootstrap's interval is widened to hold it as well. With few errors in a rare class and many in others, macro averages
remain somewhat optimistic.

How often the 95 % intervals hold the truth is simulated by `benchmarks/cases/gates_simulated.py` (numbers in
docs/benchmarks.md).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.special import ndtr, ndtri, stdtrit

from headstart.stats.inversion import of_sizes, wilson
from headstart.stats.metrics import Metric
from headstart.stats.predictions import Predictions, aligned
from headstart.stats.resampling import bootstrap, by_cluster, effective_clusters
from headstart.stats.seed_spread import seed_spread

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
    if metric.of_sizes:
        return of_sizes({1: statistics}, metric, level=level, draws=draws, seed=seed)
    if math.isnan(value):  # a metric that is not defined on these examples, such as AUROC of one class
        return value, math.nan, math.nan
    resampled = bootstrap(statistics, metric, draws=draws, seed=seed)  # [draws, R]
    means, units = resampled.mean(1), len(statistics[0])
    times = seed_spread((values, resampled)).stretch(float(means.var()), level)
    low, high = (value + times * (end - value) for end in percentiles(means, level, units))
    low, high = max(metric.bounds[0], low), min(metric.bounds[1], high)
    if metric.effective is not None and metric.bounds == (0.0, 1.0):
        count = metric.effective(statistics[0].sum(0))
        least = count * effective_clusters(clusters, n) / n
        if clusters is not None or len(together) > 1:
            variance = float(means.var()) * (times * expansion(units, level)) ** 2
            fewest = least if len(together) == 1 else 1.0
            count = independent(value * (1 - value), variance, count * len(together), fewest) if variance else least
        wilson_low, wilson_high = wilson(value, count, level)
        if metric.share:
            low, high = wilson_low, wilson_high
        elif count * min(value, 1 - value) < FEW:
            low, high = min(low, wilson_low), max(high, wilson_high)
    elif units < 2:
        low = high = math.nan
    return value, low, high


def expansion(n: float, level: float) -> float:
    """sqrt(n / (n - 1)) t / z: how many times as wide an interval from n units is as the bootstrap and z make it."""
    tail = 0.5 - level / 2
    return math.sqrt(n / (n - 1)) * float(stdtrit(n - 1, tail) / ndtri(tail)) if n >= 2 else 1.0


def percentiles(draws: np.ndarray, level: float, n: float = math.inf) -> tuple[float, float]:
    """The expanded percentile interval of bootstrap draws of n units.

    The quantiles at Phi(+-sqrt(n / (n - 1)) t), t that of Student with n - 1 degrees: the plain percentiles of few
    units are too narrow by so much. Source: Hesterberg 2015, "What Teachers Should Know About the Bootstrap".
    """
    tail = 0.5 - level / 2
    if math.isfinite(n) and n >= 2:
        tail = float(ndtr(expansion(n, level) * ndtri(tail)))
    low, high = np.quantile(draws, [tail, 1 - tail])
    return float(low), float(high)


def independent(share: float, variance: float, n: float, least: float) -> float:
    """As many independent examples as vary like these: `share / variance`, between `least` and n.

    share: the variance of one example, such as p (1 - p); variance: that of the mean, by a bootstrap over clusters.
    """
    return min(n, max(least, share / variance)) if variance > 0 else least
