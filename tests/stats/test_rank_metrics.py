"""AUROC and average precision: exact values, DeLong's variance, and what a reweighting does to them."""

import math

import numpy as np
import pytest
from scipy.special import expit
from sklearn.metrics import average_precision_score, roc_auc_score

from headstart.stats.intervals import interval
from headstart.stats.metrics import metric
from headstart.stats.paired import compare
from headstart.stats.predictions import Predictions

AUROC, PRECISION = metric("single_label", "auroc"), metric("single_label", "average_precision")


def two(truths, logits):
    """A model of two classes with these log odds."""
    p = expit(np.asarray(logits, dtype=float))
    return Predictions(np.arange(len(p)), np.asarray(truths, dtype=int), np.stack([1 - p, p], 1))


def ranked(rng, n=200, gap=1.2, share=0.3):
    truths = rng.random(n) < share
    return truths, rng.standard_normal(n) + gap * truths


def delong(truths, a, b):
    """Variance of the difference of two areas, from its definition: placements of each class, pair by pair."""
    placed = []
    for scores in (a, b):
        wins = (scores[truths][:, None] > scores[~truths]) + 0.5 * (scores[truths][:, None] == scores[~truths])
        placed.append((wins.mean(1), wins.mean(0)))
    s10, s01 = (np.cov(placed[0][side], placed[1][side], ddof=0) for side in (0, 1))
    contrast = np.array([1, -1])
    return contrast @ (s10 / truths.sum() + s01 / (~truths).sum()) @ contrast


def test_by_hand():
    p = two([1, 0, 1, 0], [3, 2, 1, 0])  # three of four pairs in order; precision 1/1 and 2/3
    assert AUROC.of(p) == pytest.approx(3 / 4)
    assert PRECISION.of(p) == pytest.approx((1 + 2 / 3) / 2)
    tied = two([1, 0, 1, 0], [0, 0, 0, 0])
    assert AUROC.of(tied) == 0.5
    assert PRECISION.of(tied) == 0.5
    np.testing.assert_allclose(interval([tied], AUROC)[0], 0.5)


def test_differences_spread_as_delong_says():
    rng = np.random.default_rng(0)
    truths, a = ranked(rng)
    b = np.round(a + rng.standard_normal(200), 1)  # with ties
    statistics = [AUROC.statistics(two(truths, scores))[:, 0] for scores in (a, b)]
    got = (statistics[0] - statistics[1]).var() / len(truths)
    assert got == pytest.approx(delong(truths, a, b), rel=1e-4)


@pytest.mark.parametrize(("one", "reference"), [(AUROC, roc_auc_score), (PRECISION, average_precision_score)])
def test_draws_are_those_of_the_exact_metric_to_first_order(one, reference):
    rng = np.random.default_rng(1)
    truths, scores = ranked(rng, n=300)
    drawn = rng.integers(300, size=(200, 300))
    weights = np.stack([np.bincount(row, minlength=300) for row in drawn]).astype(float)
    fast = one.value(weights @ one.statistics(two(truths, scores)))
    slow = np.array([reference(truths[row], scores[row]) for row in drawn])
    assert np.corrcoef(fast, slow)[0, 1] > 0.97
    assert fast.std() == pytest.approx(slow.std(), rel=0.1)


def test_another_calibration_changes_no_value_and_no_test():
    rng = np.random.default_rng(2)
    truths, a = ranked(rng, n=80)
    b = a + rng.standard_normal(80)
    plain, hot = (
        compare([two(truths, a)], [two(truths, b)], AUROC),
        compare([two(truths, a)], [two(truths, b / 9 - 1)], AUROC),
    )
    assert (plain.difference, plain.p_value) == pytest.approx((hot.difference, hot.p_value))
    none = compare([two(truths, a)], [two(truths, a / 9 - 1)], AUROC)
    assert none.difference == 0
    assert none.p_value == 1
    assert none.low <= 0 <= none.high


def test_false_alarms_are_as_many_as_promised():
    rng, alarms = np.random.default_rng(3), 0
    for _ in range(300):
        truths, shared = ranked(rng, n=60)
        a, b = (two(truths, scale * (shared + rng.standard_normal(60))) for scale in (1.0, 0.2))
        alarms += compare([a], [b], AUROC, permutations=200, draws=10).p_value <= 0.05
    assert 4 <= alarms <= 27  # 15 expected of 300


def test_what_is_not_defined_is_not_a_number():
    for truths in ([1, 1, 1], [0, 0, 0]):
        assert math.isnan(AUROC.of(two(truths, [1, 2, 3])))
        assert all(math.isnan(x) for x in interval([two(truths, [1, 2, 3])], AUROC))
        paired = compare([two(truths, [1, 2, 3])], [two(truths, [3, 2, 1])], AUROC)
        assert math.isnan(paired.difference)
        assert math.isnan(paired.p_value)
    assert math.isnan(PRECISION.of(two([0, 0], [1, 2])))
    assert not AUROC.defined(np.array([1, 1]), 2)
    assert AUROC.defined(np.array([1, 0]), 2)
    assert metric("multi_label", "auroc").defined(np.array([[1.0, 1.0], [1.0, 0.0]]), 2)
    assert not metric("multi_label", "auroc").defined(np.array([[1.0, 0.0], [1.0, 0.0]]), 2)


def test_a_rare_class_leaves_no_draw_undefined_and_no_certainty():
    truths = [1, 1, 1] + [0] * 200
    value, low, high = interval([two(truths, np.r_[5, 5.1, 5.2, np.linspace(-3, 3, 200)])], AUROC)
    assert value == 1
    assert 0.4 < low < 0.9
    assert high == 1


def test_probabilities_that_round_to_one_keep_their_order():
    p = np.array([[1e-9, 1.0], [1e-12, 1.0]], dtype=np.float32)
    assert AUROC.of(Predictions(np.arange(2), np.array([0, 1]), p)) == 1


@pytest.mark.slow
@pytest.mark.parametrize(("gap", "positives", "negatives"), [(1.81, 60, 60), (1.81, 100, 200), (2.33, 100, 200)])
def test_coverage(gap, positives, negatives):
    """Binormal scores; where errors are few, intervals are wider than they would have to be."""
    from scipy.stats import norm

    rng, truths = np.random.default_rng(4), np.arange(positives + negatives) < positives
    true, held = norm.cdf(gap / math.sqrt(2)), 0
    for seed in range(1000):
        scores = rng.standard_normal(len(truths)) + gap * truths
        _, low, high = interval([two(truths, scores)], AUROC, draws=500, seed=seed)
        held += low <= true <= high
    assert 0.93 <= held / 1000 <= 0.99
