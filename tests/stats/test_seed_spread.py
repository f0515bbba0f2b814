import math

import numpy as np
import pytest
from scipy.special import stdtrit

from headstart.stats import seed_spread as module
from headstart.stats.seed_spread import SeedSpread, seed_spread


def test_seed_spread_by_hand():
    resampled = np.array([[1.0, 3.0], [2.0, 2.0]])  # less the values: [0, 1], [1, 0]; variance between seeds 1/2 each
    got = seed_spread((np.array([1.0, 2.0]), resampled))
    assert got.error == 0  # s^2 = 1/2 is all noise
    got = seed_spread((np.array([1.0, 3.0]), resampled))  # less the values: [0, 0], [1, -1]; variances 0 and 2
    assert got.error == pytest.approx(math.sqrt((2 - 1) / 2))
    assert got.freedom == 2
    still = np.array([[0.0, 1, 2, 3, 4]])
    got = seed_spread((still[0], still), (still[0], still))
    assert (got.error, got.freedom) == pytest.approx((1.0, 8))  # s^2 = 5/2 of 5 seeds, twice; Welch: 2 (5 - 1)
    assert seed_spread((np.array([1.0]), np.array([[0.0], [2.0]]))).error == 0


def test_seeds_alike_leave_the_bootstraps_interval_and_agreement_narrows_it():
    assert SeedSpread(0.0).stretch(4.0, 0.95) == 1  # one seed
    # a hundred seeds as far apart as the examples explain
    assert SeedSpread(0.0, total=1.0, noise=1.0, total_freedom=99).stretch(4.0, 0.95) == pytest.approx(1, abs=0.01)
    assert SeedSpread(0.0, total=0.0, noise=3.0).stretch(4.0, 0.95) == pytest.approx(math.sqrt(1 / 4))
    assert SeedSpread(0.0, total=0.0, noise=4.0).stretch(4.0, 0.95) == pytest.approx(1 / 4)  # never to nothing


def test_stretched_to_students_quantile_of_seeds_and_examples_together():
    spread = SeedSpread(0.0, total=2.0, noise=1.0, total_freedom=2)  # whole: 4 - 1 + 2 = 5, of which 2 are the seeds'
    freedom = 2 / (2 / 5) ** 1.25
    assert spread.stretch(4.0, 0.95) == pytest.approx(stdtrit(freedom, 0.025) / -1.959964 * math.sqrt(5 / 4))


def test_freedom_of_two_methods_alike_is_without_bias():
    values = np.array([0.0, 1, 2, 3, 4])
    found = seed_spread(*[(values, values[None])] * 2)  # s^2 / R = 1/2 each
    assert (found.total, found.noise) == (1.0, 0.0)
    assert found.total_freedom == pytest.approx(1 / (2 * 0.25 / 6) - 2)
    assert seed_spread((values, values[None])).total_freedom == pytest.approx(4)


def covered(seeds, own, shared, methods=1, samples=4000):
    """How often an interval holds 0: normal values, their seeds' own variance and the shared one in units of noise."""
    rng, held = np.random.default_rng(0), 0
    noise, boot = methods / seeds, shared + methods / seeds
    values = math.sqrt(1 + own) * rng.standard_normal((samples, methods, seeds))
    centres = math.sqrt(shared) * rng.standard_normal(samples) + values.mean(2).sum(1)
    squares = values.var(2, ddof=1) / seeds  # [samples, methods]
    for centre, square in zip(centres, squares):
        freedom = square.sum() ** 2 / (square**2 / (seeds + 1)).sum() - 2
        spread = SeedSpread(0.0, total=float(square.sum()), noise=noise, total_freedom=float(freedom))
        held += abs(centre) <= 1.959964 * math.sqrt(boot) * spread.stretch(boot, 0.95)
    return held / samples


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seeds", [3, 5])
@pytest.mark.parametrize("methods", [1, 2])
@pytest.mark.parametrize("shared", [0.05, 0.7, 4])
@pytest.mark.parametrize("own", [0, 1.5, 15, 60])
def test_coverage_of_three_seeds_and_more(seeds, methods, shared, own):
    share = covered(seeds, own, shared, methods)
    print(f"{seeds} seeds, {methods} methods, own {own}, shared {shared}: {share:.3f}")
    assert share == pytest.approx(0.95, abs=0.015 + 2.6 * math.sqrt(0.05 * 0.95 / 4000))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_coverage_of_two_seeds_and_of_other_powers(monkeypatch):
    assert 0.88 < covered(2, 15, 0.7) < 0.915
    monkeypatch.setattr(module, "POWER", 2)
    assert 0.91 < covered(3, 15, 0.7) < 0.93
    monkeypatch.setattr(module, "POWER", 1)
    assert 0.957 < covered(3, 0, 0.7) < 0.972
