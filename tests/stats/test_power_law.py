"""The law of learning curves: found again where it is known, and with intervals that hold it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import least_squares

from headstart.stats.power_law import fit

SIZES = np.array([60.0, 180, 600, 1800, 5000])


def law(n: np.ndarray, limit: float = 0.04, scale: float = 3.0, exponent: float = 0.6) -> np.ndarray:
    errors: np.ndarray = limit + scale * n**-exponent
    return errors


def test_a_law_without_noise_is_found_again() -> None:
    found = fit(SIZES, law(SIZES), [1e-5] * 5)
    limit, scale, exponent = found.fitted[0], np.exp(found.fitted[1]), found.fitted[2]
    assert (limit, scale, exponent) == pytest.approx((0.04, 3.0, 0.6), rel=0.02)
    assert found.error(20000)[0] == pytest.approx(law(np.array([20000.0]))[0], rel=1e-3)


def test_reach_is_the_inverse() -> None:
    found = fit(SIZES, law(SIZES), [1e-5] * 5)
    n, low, high = found.reach(0.05)
    assert n == pytest.approx((3.0 / 0.01) ** (1 / 0.6), rel=0.05)  # 0.05 - 0.04 = 3 n^-0.6
    assert low is not None
    assert high is not None
    assert low <= n <= high
    assert found.error(n)[0] == pytest.approx(0.05, abs=1e-6)
    assert found.reach(0.03)[0] is None, "no amount of data gets below the limit"


@pytest.mark.parametrize("seed", range(5))
def test_no_other_law_misses_less(seed: int) -> None:
    """Against scipy's trust region, begun at the truth and elsewhere."""
    random = np.random.default_rng(seed)
    spread = random.uniform(0.005, 0.03, 5)
    errors = np.maximum(0, law(SIZES) + spread * random.standard_normal(5))

    def misses(p: np.ndarray) -> np.ndarray:
        return np.asarray((p[0] + np.exp(p[1] - p[2] * np.log(SIZES)) - errors) / spread)

    starts = [np.array([0.04, np.log(3.0), 0.6]), np.array([0.0, 0.0, 0.3]), np.array([0.1, 2.0, 1.5])]
    bounds = ([-1e-12, -50.0, 0.0], [1.0, 50.0, 3.0])
    others = [least_squares(misses, start, bounds=bounds) for start in starts]
    best = min(others, key=lambda other: float(other.cost))
    found = fit(SIZES, errors, spread).fitted
    assert (misses(found) ** 2).sum() <= 2 * best.cost + 1e-6
    at_twice = best.x[0] + np.exp(best.x[1] - best.x[2] * np.log(10000))
    assert found[0] + np.exp(found[1] - found[2] * np.log(10000)) == pytest.approx(at_twice, rel=1e-3)


def test_of_a_level_line_all_is_limit() -> None:
    for errors in ([0.3] * 5, [0.2, 0.25, 0.3, 0.35, 0.4]):  # what rises has no law that falls
        found = fit(SIZES, errors, [0.01] * 5)
        assert found.limit[0] == pytest.approx(0.3, abs=1e-6)
        assert found.error(1e6)[0] == pytest.approx(0.3, abs=1e-6)
        assert found.reach(0.29)[0] is None
        value, low, high = found.reach(0.45)
        assert value == low == 0.0, "below it everywhere"
        assert high is not None
        assert high <= SIZES[0]


def test_noise_widens_the_interval_and_forecasts_widen_with_distance() -> None:
    sure, unsure = (fit(SIZES, law(SIZES), [deviation] * 5) for deviation in (0.001, 0.01))
    width = [high - low for _, low, high in (sure.error(10000), unsure.error(10000), unsure.error(1000))]
    assert width[1] > 3 * width[0]
    assert width[1] > width[2]


def test_intervals_hold_the_truth() -> None:
    """The error at twice the largest size, 30 times: 95 % intervals should hold it nearly always."""
    random, held = np.random.default_rng(0), 0
    for _ in range(30):
        errors = law(SIZES) + 0.008 * random.standard_normal(5)
        _, low, high = fit(SIZES, errors, [0.008] * 5).error(10000)
        held += low <= law(np.array([10000.0]))[0] <= high
    assert held >= 26


def test_three_numbers_of_examples_are_needed() -> None:
    with pytest.raises(ValueError, match="three"):
        fit([10, 10, 100], [0.5, 0.5, 0.3], [0.01] * 3)
