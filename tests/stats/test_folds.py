"""Intervals and tests over cross-validation: the corrected variance by hand, and what they hold in simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from headstart.stats.folds import Folds
from headstart.stats.metrics import metric
from headstart.stats.predictions import Predictions

ACCURACY = metric("single_label", "accuracy")


def fold(ids: np.ndarray, right: np.ndarray) -> Predictions:
    """Answers to examples of class 1."""
    scores = np.stack([~right, right], 1).astype(np.float32)
    return Predictions(ids, np.ones(len(ids), dtype=np.int64), scores)


def runs(shares: list[float], size: int = 400) -> list[Predictions]:
    return [fold(np.arange(size) + at * size, np.arange(size) < round(share * size)) for at, share in enumerate(shares)]


def test_the_corrected_variance_by_hand() -> None:
    """Nadeau and Bengio: t of K - 1 degrees of freedom, variance (1 / K + n_test / n_train) s^2."""
    values = [0.90, 0.70, 0.80, 0.60, 0.85]
    half = stats.t.ppf(0.975, 4) * np.sqrt((1 / 5 + 1 / 4) * np.var(values, ddof=1))
    value, low, high = Folds(5).interval(runs(values), ACCURACY)
    assert value == pytest.approx(0.77)
    assert (low, high) == pytest.approx((0.77 - half, min(1.0, 0.77 + half)), abs=1e-6)
    other = [0.80, 0.75, 0.60, 0.60, 0.70]
    found = Folds(5).compare(runs(values), runs(other), ACCURACY)
    differences = np.subtract(values, other)
    error = np.sqrt((1 / 5 + 1 / 4) * np.var(differences, ddof=1))
    assert found.difference == pytest.approx(differences.mean())
    assert found.error == pytest.approx(error)
    assert found.freedom == 4
    assert found.p_value == pytest.approx(2 * stats.t.sf(differences.mean() / error, 4), abs=1e-6)


def test_folds_that_agree_by_chance_are_not_taken_for_certainty() -> None:
    value, low, high = Folds(5).interval(runs([0.8] * 5, size=10), ACCURACY)
    assert (value, low < 0.72, high > 0.86) == (0.8, True, True)


def test_repetitions_are_pooled_apart() -> None:
    """Two cross-validations hold every example twice; neither counts for two."""
    once, twice = runs([0.9, 0.7]), runs([0.9, 0.7]) + runs([0.8, 0.8])
    assert [len(one) for one in Folds(2).pooled(twice)] == [800, 800]
    assert Folds(2).interval(once, ACCURACY)[0] == Folds(2).interval(twice, ACCURACY)[0] == pytest.approx(0.8)


def nearest_mean(x: np.ndarray, y: np.ndarray, folds: int, random: np.random.Generator) -> list[Predictions]:
    """Cross-validated answers of the nearest class mean to [n, features]."""
    places, found = np.array_split(random.permutation(len(x)), folds), []
    for tested in places:
        rest = np.setdiff1d(np.arange(len(x)), tested)
        means = [x[rest][y[rest] == c].mean(0) for c in (0, 1)]
        said = ((x[tested] - means[1]) ** 2).sum(1) < ((x[tested] - means[0]) ** 2).sum(1)
        scores = np.stack([~said, said], 1).astype(np.float32)
        found.append(Predictions(tested, y[tested], scores))
    return found


@pytest.mark.slow
@pytest.mark.parametrize(("rows", "folds"), [(40, 5), (100, 5), (100, 10)])
def test_methods_that_are_equally_good_are_seldom_told_apart(rows: int, folds: int) -> None:
    """Two learners on features of their own that carry as much: they differ by chance of test and training examples."""
    random, rejected, times = np.random.default_rng(rows + folds), 0, 400
    for _ in range(times):
        y = random.integers(2, size=rows)
        x = random.normal(size=(rows, 6)) + 0.5 * y[:, None]
        cut = int(random.integers(2**31))
        sides = [nearest_mean(x[:, side], y, folds, np.random.default_rng(cut)) for side in (slice(0, 3), slice(3, 6))]
        rejected += Folds(folds).compare(*sides, ACCURACY, permutations=400, draws=400).p_value <= 0.05
    assert rejected / times <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / times)


@pytest.mark.slow
def test_intervals_hold_the_expected_accuracy() -> None:
    """Of the learner, trained on as many examples: known by training it on fresh examples many times."""
    random, rows, folds, times = np.random.default_rng(5), 60, 5, 400

    def sample(count: int) -> tuple[np.ndarray, np.ndarray]:
        y = random.integers(2, size=count)
        return random.normal(size=(count, 3)) + 0.7 * y[:, None], y

    truth = []
    for _ in range(300):
        x, y = sample(rows * (folds - 1) // folds)
        means = [x[y == c].mean(0) for c in (0, 1)]
        fresh, label = sample(2000)
        said = ((fresh - means[1]) ** 2).sum(1) < ((fresh - means[0]) ** 2).sum(1)
        truth.append((said == label).mean())
    held = 0
    for _ in range(times):
        _, low, high = Folds(folds).interval(nearest_mean(*sample(rows), folds, random), ACCURACY, draws=400)
        held += low <= np.mean(truth) <= high
    assert held / times >= 0.95 - 2 * np.sqrt(0.05 * 0.95 / times)
