import numpy as np
import pytest
from scipy.special import expit

from headstart.stats.before_after import change_of, joined
from headstart.stats.intervals import interval
from headstart.stats.inversion import combined, nearest
from headstart.stats.metrics import metric
from headstart.stats.paired import compare
from headstart.stats.predictions import Predictions

ECE = metric("single_label", "ece")


def said(n, *sharp, seed=1):
    """The same questions put to models whose logits are so many times too sharp."""
    rng = np.random.default_rng(seed)
    logit = 0.5 + 2 * rng.standard_normal(n)
    targets = (rng.random(n) < expit(logit)).astype(np.int64)
    return [Predictions(np.arange(n), targets, np.stack([expit(-one * logit), expit(one * logit)], 1)) for one in sharp]


def test_the_nearest_sums_of_a_size_by_hand():
    seen, variance = np.array([5.0, -2.0, 0.5, 0.0]), np.array([1.0, 1.0, 1.0, 0.0])
    assert nearest(seen, variance, 7.5) == pytest.approx(seen)
    assert nearest(seen, variance, 5.0) == pytest.approx([4.0, -1.0, 0.0, 0.0])  # 1 off each; what is less is 0
    assert nearest(seen, variance, 9.0) == pytest.approx([5.5, -2.5, 1.0, 0.0])
    assert nearest(seen, variance, 0.0) == pytest.approx(np.zeros(4), abs=1e-9)
    assert nearest(np.array([5.0, 2.0]), np.array([3.0, 1.0]), 3.0) == pytest.approx([2.0, 1.0])  # as it is uncertain


def test_intervals_combined_by_hand():
    value, low, high = combined([1, -1], [(0.5, 0.4, 0.7), (0.2, 0.17, 0.24)], np.eye(2))
    assert (value, low, high) == pytest.approx((0.3, 0.3 - np.hypot(0.1, 0.04), 0.3 + np.hypot(0.2, 0.03)))
    same = combined([1, -1], [(0.5, 0.4, 0.7), (0.5, 0.4, 0.6)], np.ones((2, 2)))
    assert same == pytest.approx((0.0, 0.0, 0.1))  # errors that are the same cancel
    value, low, high = combined([1, -1], [(0.5, 0.4, 0.7), (0.02, 0.0, 0.06)], np.ones((2, 2)))
    assert (value, low, high) == pytest.approx((0.48, 0.48 - 0.14, 0.48 + 0.22))  # at 0 nothing is known to cancel


def test_a_calibrated_model_has_an_interval_from_0_and_others_have_not():
    calibrated, sure = said(2000, 1.0, 3.0)
    value, low, high = interval([calibrated], ECE)
    assert low == 0 <= value < high < 0.04
    value, low, high = interval([sure], ECE)
    assert 0.09 < low < 0.131 < high < 0.17  # in truth 0.131
    assert value < ECE.of(sure)


def test_a_difference_is_narrower_than_its_ends_are_apart():
    a, b = said(2000, 3.0, 1.5)
    ends = [interval([one], ECE) for one in (a, b)]
    found = compare([a], [b], ECE, permutations=1)
    assert found.difference == pytest.approx(ends[0][0] - ends[1][0])
    assert ends[0][1] - ends[1][2] < found.low < 0.131 - 0.057 < found.high < ends[0][2] - ends[1][1]


def test_a_change_of_calibration_is_that_of_both_sides():
    clean, changed = said(2000, 1.0, 3.0)
    change = change_of(ECE, "single_label")
    _, low, high = interval([joined(clean, changed)], change)
    assert 0.07 < low < 0.131 < high < 0.18  # in truth 0.131
    base, tuned = joined(clean, changed), joined(clean, clean)
    found = compare([tuned], [base], change, permutations=1)
    assert found.low < -0.131 < found.high < 0
    assert change.of_sizes
