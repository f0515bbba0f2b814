"""The law of learning curves: found again where it is known, and with intervals that hold it."""

from __future__ import annotations

import numpy as np
import pytest

from headstart.evaluate.power_law import fit

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


def test_noise_widens_the_interval_and_forecasts_widen_with_distance() -> None:
    sure, unsure = (fit(SIZES, law(SIZES), [deviation] * 5) for deviation in (0.001, 0.01))
    width = [high - low for _, low, high in (sure.error(10000), unsure.error(10000), unsure.error(1000))]
    assert width[1] > 3 * width[0]
    assert width[1] > width[2]


@pytest.mark.slow
def test_intervals_hold_the_truth() -> None:
    """The error at twice the largest size, 60 times: 95 % intervals should hold it nearly always."""
    random, held = np.random.default_rng(0), 0
    for _ in range(60):
        errors = law(SIZES) + 0.008 * random.standard_normal(5)
        _, low, high = fit(SIZES, errors, [0.008] * 5).error(10000)
        held += low <= law(np.array([10000.0]))[0] <= high
    assert held >= 52


def test_three_numbers_of_examples_are_needed() -> None:
    with pytest.raises(ValueError, match="three"):
        fit([10, 10, 100], [0.5, 0.5, 0.3], [0.01] * 3)
