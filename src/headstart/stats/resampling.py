"""Resampling of examples or whole clusters: bootstrap draws and random swaps as sums of statistics.

Statistics are rows [n, k], one per example, and everything computed from draws needs only their sums. Therefore

- rows of one **cluster** (questions about one fact, pictures of one patient) are added up first and drawn together;
- **equal rows** are counted: 100,000 right or wrong answers are two different rows, and one multinomial number for each
  replaces 100,000 draws;
- if more than `MOST_ROWS` different rows remain (losses of 100,000 examples), they are dealt at random into `MOST_ROWS`
  groups, which are drawn whole. The variance is as exact as with `MOST_ROWS` independent examples: within 2.2 %.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from headstart.core.seeds import derive

if TYPE_CHECKING:
    from headstart.stats.metrics import Metric

MOST_ROWS = 4096
"maximum number of rows that are drawn one by one"
_CELLS = 2_000_000
"numbers in one chunk of weights: 16 MB"


def generator(seed: int, purpose: str) -> np.random.Generator:
    return np.random.default_rng(derive(seed, "evaluate", purpose))


def by_cluster(rows: np.ndarray, clusters: np.ndarray | None) -> np.ndarray:
    """[G, k] sums of the rows [n, k] of each cluster, in the order of the clusters' numbers; None: the rows."""
    if clusters is None:
        return rows
    _, place = np.unique(clusters, return_inverse=True)
    belongs = sparse.csr_array((np.ones(len(place)), (place, np.arange(len(place)))))  # [G, n]
    return np.asarray(belongs @ rows)


def effective_clusters(clusters: np.ndarray | None, n: int) -> float:
    """(sum of sizes)^2 / sum of squared sizes, the number of clusters if all had one size; n without clusters.

    The data hold at least that many independent examples, however similar those of one cluster are. Source: Kish 1965.
    """
    if clusters is None:
        return float(n)
    sizes = np.unique(clusters, return_counts=True)[1].astype(np.float64)
    return float(sizes.sum() ** 2 / (sizes**2).sum())


def bootstrap_sums(rows: np.ndarray, draws: int, random: np.random.Generator) -> Iterator[np.ndarray]:
    """Chunks [size, k] of sums over n rows drawn with replacement from rows [n, k]; `draws` sums in all."""
    n = len(rows)
    different, counts = distinct(rows)
    if 10 * len(different) < n:
        for size in chunks(draws, len(different)):
            yield random.multinomial(n, counts / n, size).astype(np.float64) @ different
        return
    units = compact(_grouped(rows, random))
    n = units.shape[0]
    for size in chunks(draws, n):
        drawn = random.integers(n, size=(size, n)) + n * np.arange(size)[:, None]
        yield np.bincount(drawn.ravel(), minlength=size * n).reshape(size, n).astype(np.float64) @ units


def bootstrap(statistics: Sequence[np.ndarray], metric: Metric, *, draws: int, seed: int) -> np.ndarray:
    """[draws, R] values of the metric on n rows drawn with replacement, with the same rows for all R models.

    statistics: R times S [n, k], rows (examples or clusters) aligned.
    """
    k = statistics[0].shape[1]
    sums = bootstrap_sums(np.hstack(statistics), draws, generator(seed, "examples"))  # chunks [size, R k]
    return np.concatenate([metric.value(chunk.reshape(len(chunk), len(statistics), k)) for chunk in sums])


def swap_sums(rows: np.ndarray, permutations: int, random: np.random.Generator) -> Iterator[np.ndarray]:
    """Chunks [size, k] of sums over random rows of [n, k], each included with probability 1/2."""
    different, counts = distinct(rows)
    if 10 * len(different) < len(rows):
        for size in chunks(permutations, len(different)):
            yield random.binomial(counts, 0.5, (size, len(counts))).astype(np.float64) @ different
        return
    units = compact(_grouped(rows, random))
    for size in chunks(permutations, units.shape[0]):
        yield random.integers(2, size=(size, units.shape[0])).astype(np.float64) @ units


def distinct(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The different rows, and the count of each; a random combination of the columns identifies a row."""
    key = rows @ np.random.default_rng(0).standard_normal(rows.shape[1])
    _, first, counts = np.unique(key, return_index=True, return_counts=True)
    return rows[first], counts


def _grouped(rows: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """The rows, or if there are more, sums of `MOST_ROWS` random groups of nearly equal size."""
    if len(rows) <= MOST_ROWS:
        return rows
    return by_cluster(rows, random.permutation(len(rows)) % MOST_ROWS)


def chunks(rows: int, n: int) -> Iterator[int]:
    """Sizes of chunks that add up to `rows`, each with at most about 2 million cells of width n."""
    step = max(1, _CELLS // max(1, n))
    for start in range(0, rows, step):
        yield min(step, rows - start)


def compact(rows: np.ndarray) -> np.ndarray | sparse.csr_array:
    """The same matrix, sparse if it is large and nearly empty (F1 over hundreds of classes)."""
    return sparse.csr_array(rows) if rows.size > 1_000_000 and np.count_nonzero(rows) < 0.1 * rows.size else rows
