"""Non-inferiority: bounds against known ones, claims at the margin, and the number of examples that would decide."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from headstart.stats.metrics import metric
from headstart.stats.non_inferiority import (
    ALPHA,
    claims,
    examples_needed,
    lower_bound,
    p_value,
    upper_bound,
)
from headstart.stats.paired import Paired, compare
from stats.simulated import answers, binary, single

ACCURACY = metric("single_label")


def pairs(gains: int, losses: int, n: int) -> Paired:
    """One seed each, accuracy: what `compare` gives, but worked out."""
    d = (gains - losses) / n
    return Paired(d, d, d, 1.0, 0.0, math.sqrt(((gains + losses) / n - d**2) / (n - 1)), 1 / n, n - 1)


def test_compare_gives_what_the_bound_needs() -> None:
    right = np.ones((2, 1, 200), dtype=bool)
    right[0, 0, :12], right[1, 0, 12:17] = False, False
    got, expected = compare(binary(right[0]), binary(right[1]), ACCURACY, draws=20_000), pairs(5, 12, 200)
    assert (got.difference, got.unit, got.freedom) == pytest.approx((-0.035, 1 / 200, 199))
    assert got.error == pytest.approx(expected.error, rel=0.02)


@pytest.mark.parametrize("alpha", [0.05, 0.005])
@pytest.mark.parametrize("losses", [0, 1, 3, 10, 40])
def test_losses_alone_are_bounded_as_by_the_exact_binomial(losses: int, alpha: float) -> None:
    """Clopper & Pearson's one-sided bound: never below it, and near it."""
    exact = stats.beta.ppf(1 - alpha, losses + 1, 5000 - losses)
    got = -lower_bound(pairs(0, losses, 5000), alpha)
    assert 1 <= got / exact < {0: 1.45, 1: 1.25, 3: 1.12, 10: 1.05, 40: 1.02}[losses]


def test_far_from_the_ends_it_is_the_t_test() -> None:
    found = pairs(1000, 900, 10_000)
    t = found.difference / found.error
    assert p_value(found, 0) == pytest.approx(stats.t.sf(t, 9999), rel=0.2)
    assert lower_bound(found) == pytest.approx(found.difference - 1.645 * found.error, abs=2.5e-4)
    assert upper_bound(found) == pytest.approx(2 * found.difference - lower_bound(found))


@pytest.mark.parametrize("found", [pairs(5, 12, 200), pairs(0, 0, 300), pairs(40, 1, 100), pairs(3, 3, 30)])
@pytest.mark.parametrize("alpha", [0.001, 0.05, 0.4])
def test_p_is_where_bound_and_margin_meet(found: Paired, alpha: float) -> None:
    assert p_value(found, -lower_bound(found, alpha)) == pytest.approx(alpha, rel=1e-6)


def test_agreement_on_a_few_examples_shows_nothing() -> None:
    once = binary(np.ones((1, 300), dtype=bool))
    other = [type(p)(p.ids, p.targets, 0.1 + 0.8 * p.scores) for p in once]
    for found in (compare(once, other, ACCURACY), compare(once, once, ACCURACY)):  # answers alone may agree by chance
        assert lower_bound(found) == pytest.approx(-3.63 / 300, rel=0.01)
    p = single(np.random.default_rng(0), n=20)
    assert lower_bound(compare([p], [p], ACCURACY)) == 0, "graded scores that are the same come from the same model"


def test_a_claim_among_many_is_corrected() -> None:
    good, bad = pairs(30, 30, 1000), pairs(10, 60, 1000)
    (alone,) = claims([good], 0.015)
    assert alone.shown
    assert alone.bound == pytest.approx(lower_bound(good))
    among = claims([good, *[bad] * 9], 0.015)
    assert among[0].p_adjusted == pytest.approx(10 * alone.p_value)
    assert among[0].bound == pytest.approx(lower_bound(good, ALPHA / 10))
    assert not among[0].shown
    assert not any(one.shown for one in among[1:])


def test_examples_needed_by_hand() -> None:
    """Standard error .01 from 1,000 examples: (1.645 + 0.842) x .01 sqrt(1000 / n) = .01 at n = 6,184."""
    found = Paired(0.0, 0.0, 0.0, 1.0, 0.0, 0.01, 0.0, math.inf)
    assert examples_needed(found, 1000, 0.01) == pytest.approx(6184, abs=2)
    assert examples_needed(found, 1000, 0.01, assumed=0.01) == pytest.approx(6184 / 4, abs=2)
    assert examples_needed(found, 1000, 0.01, claims=10) > 6184
    assert examples_needed(found, 1000, 0.01, assumed=-0.01) is None
    blurred = Paired(0.0, 0.0, 0.0, 1.0, 0.008, 0.01, 0.0, math.inf)
    assert examples_needed(blurred, 1000, 0.01) is None, "seeds differ too much for any number of examples"
    assert examples_needed(pairs(0, 0, 100), 100, 0.01) == pytest.approx(363, abs=3)


def test_so_many_examples_do_decide() -> None:
    """Of samples with as many examples as were asked for, about four in five show it."""
    rng = np.random.default_rng(0)
    needed = examples_needed(pairs(50, 50, 1000), 1000, 0.02)
    assert needed is not None
    shown = 0
    for _ in range(400):
        gains, losses, _ = rng.multinomial(needed, [0.05, 0.05, 0.9])
        shown += lower_bound(pairs(gains, losses, needed)) > -0.02
    assert 0.72 < shown / 400 < 0.86


@pytest.mark.parametrize(("n", "gained"), [(20, 0.0), (60, 0.01), (100, 0.0), (300, 0.002), (300, 0.1)])
def test_false_claims_at_the_margin(n: int, gained: float) -> None:
    """A true loss of just the margin is claimed to lie within it in at most one sample of twenty."""
    rng, trials = np.random.default_rng(1), 2000
    for margin in (0.01, 0.05):
        drawn = rng.multinomial(n, [gained, gained + margin, 1 - 2 * gained - margin], trials)
        false = np.mean([lower_bound(pairs(*row[:2], n)) > -margin for row in drawn])
        assert false <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / trials)


@pytest.mark.parametrize("seeds", [1, 3])
def test_false_claims_of_trained_methods(seeds: int) -> None:
    """Three points worse is not within one point (few repetitions; the slow suite has many)."""
    rng, false = np.random.default_rng(2), 0
    for trial in range(60):
        difficulty = 2 * rng.standard_normal(300)
        a, b = answers(rng, difficulty, seeds, 2.64, 0.1), answers(rng, difficulty, seeds, 3.0, 0.1)
        false += lower_bound(compare(binary(a), binary(b), ACCURACY, permutations=1, draws=200, seed=trial)) > -0.01
    assert false <= 6
