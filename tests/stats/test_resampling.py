"""Resampling: clusters are drawn whole, and counting equal rows or dealing rows into groups changes no distribution."""

from __future__ import annotations

import dataclasses
import time

import numpy as np
import pytest

from headstart.stats import resampling
from headstart.stats.intervals import interval, percentiles, wilson
from headstart.stats.metrics import METRICS, metric
from headstart.stats.paired import compare
from headstart.stats.predictions import Predictions
from headstart.stats.resampling import bootstrap_sums, by_cluster, effective_clusters, swap_sums
from stats.simulated import answers, binary, real, single

EVERY = [("single_label", name) for name in METRICS["single_label"]] + [("regression", "mae")]


def copies(p: Predictions, times: int) -> Predictions:
    """Each example so many times, its copies being one cluster."""
    rows = np.repeat(np.arange(len(p)), times)
    return Predictions(np.arange(len(rows)), p.targets[rows], p.scores[rows], rows)


@pytest.mark.parametrize(("kind", "name"), EVERY)
def test_ten_copies_of_an_example_are_one_example(kind: str, name: str) -> None:
    make, m = single if kind == "single_label" else real, metric(kind, name)
    p, q = make(np.random.default_rng(0), n=40), make(np.random.default_rng(1), n=40)
    q = dataclasses.replace(q, targets=p.targets)
    assert interval([copies(p, 10)], m)[1:] == pytest.approx(interval([p], m)[1:], abs=1e-6)
    once, often = compare([p], [q], m), compare([copies(p, 10)], [copies(q, 10)], m)
    assert (often.low, often.high, often.p_value) == pytest.approx((once.low, once.high, once.p_value), abs=1e-6)


def test_clusters_all_right_are_no_more_certain_than_their_number() -> None:
    p = copies(binary(np.ones((1, 20), dtype=bool))[0], 50)
    assert interval([p], metric("single_label"))[1] == pytest.approx(wilson(1, 20)[0])
    other = dataclasses.replace(p, scores=0.1 + 0.8 * p.scores)
    assert compare([p], [other], metric("single_label")).low == pytest.approx(-1.96 / 22, abs=1e-3)


def test_effective_clusters_by_hand() -> None:
    assert effective_clusters(None, 7) == 7
    assert effective_clusters(np.array([3, 3, 8, 8]), 4) == 2
    assert effective_clusters(np.array([1, 1, 1, 2]), 4) == pytest.approx(16 / 10)
    rows = np.array([[1.0, 2], [3, 4], [5, 6]])
    np.testing.assert_array_equal(by_cluster(rows, np.array([9, -1, 9])), [[3, 4], [6, 8]])


def test_percentiles_of_few_are_expanded() -> None:
    """Of normal draws with the variance that a bootstrap of 8 has, (n - 1) / n, the interval is Student's."""
    draws = np.sqrt(7 / 8) * np.random.default_rng(0).standard_normal(2_000_000)
    assert percentiles(draws, 0.95, 8) == pytest.approx((-2.3646, 2.3646), rel=0.02)
    assert percentiles(draws, 0.95) == pytest.approx((-1.96 * np.sqrt(7 / 8), 1.96 * np.sqrt(7 / 8)), rel=0.01)


@pytest.mark.parametrize("way", ["counted", "grouped"])
def test_counting_and_grouping_keep_mean_and_covariance(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    if way == "counted":
        rows = np.stack([rng.random(3000) < 0.8, rng.random(3000) < 0.3, np.ones(3000)], 1).astype(float)
    else:
        monkeypatch.setattr(resampling, "MOST_ROWS", 1000)
        rows = rng.standard_normal((3000, 3)) + 0.1
    drawn = np.concatenate(list(bootstrap_sums(rows, 5000, rng)))
    half = np.concatenate(list(swap_sums(rows, 5000, rng)))
    assert len(drawn) == len(half) == 5000
    np.testing.assert_allclose(drawn.mean(0), rows.sum(0), atol=5)
    np.testing.assert_allclose(half.mean(0), rows.sum(0) / 2, atol=5)
    for got, expected in ((np.cov(drawn.T), len(rows) * np.cov(rows.T)), (np.cov(half.T), rows.T @ rows / 4)):
        np.testing.assert_allclose(got, expected, atol=0.12 * expected.max())


def test_a_hundred_thousand_examples_take_seconds() -> None:
    """Equal rows are counted, losses dealt into groups: drawn one by one, five seeds took 9 to 20 s."""
    rng = np.random.default_rng(0)
    difficulty = rng.standard_normal(100_000)
    a, b = (binary(answers(rng, difficulty, 2)) for _ in range(2))
    begin = time.process_time()
    found = compare(a, b, metric("single_label"))
    assert time.process_time() - begin < 3
    assert 0.001 < found.high - found.low < 0.01
