"""Gates: improved, same, regressed, undecided; and how often a set of them is wrong."""

from __future__ import annotations

import numpy as np
import pytest

from headstart.evaluate.gate import checked, more_examples, passes, status_of
from headstart.evaluate.metrics import metric
from headstart.evaluate.paired import Paired, compare

from .simulated import answers, binary

ACCURACY, LOSS = metric("single_label"), metric("single_label", "log_loss")


@pytest.mark.parametrize(
    ("difference", "low", "high", "p", "tolerance", "status"),
    [
        (0.03, 0.01, 0.05, 0.01, 0.01, "improved"),
        (-0.03, -0.05, -0.01, 0.01, 0.01, "regressed"),
        (-0.005, -0.009, -0.001, 0.01, 0.01, "same"),  # worse for certain, by less than matters
        (0.0, -0.008, 0.008, 1.0, 0.01, "same"),
        (0.0, -0.02, 0.02, 1.0, 0.01, "undecided"),
        (0.03, 0.01, 0.05, 0.08, 0.01, "undecided"),  # Holm's correction took the certainty away
        (-0.03, -0.06, 0.001, 0.06, 0.01, "undecided"),
    ],
)
def test_status_by_hand(difference: float, low: float, high: float, p: float, tolerance: float, status: str) -> None:
    assert status_of(Paired(difference, low, high, p), p, tolerance, True) == status
    # of a metric that should be small, the mirror image says the same
    assert status_of(Paired(-difference, -high, -low, p), p, tolerance, False) == status


def test_gates() -> None:
    assert [passes(status, "improved") for status in ("improved", "same", "undecided", "regressed")] == [
        True, False, False, False,
    ]  # fmt: skip
    assert [passes(status, "not_regressed") for status in ("improved", "same", "undecided", "regressed")] == [
        True, True, True, False,
    ]  # fmt: skip
    assert passes("regressed", "none")


def test_so_many_more_examples_decide() -> None:
    """A difference of 2 points with a half width of 4: four times the examples make the width 2."""
    found = Paired(0.02, -0.0192, 0.0592, 0.3271)  # z = 0.98, half of the 1.96 that is asked for
    assert more_examples(found, 1.0, 500, 0.0) == pytest.approx(3 * 500, rel=0.01)
    # a difference of 0 is decided once the interval lies within the tolerance
    assert more_examples(Paired(0.0, -0.02, 0.02, 1.0), 1.0, 500, 0.01) == pytest.approx(3 * 500, rel=0.01)
    # a p-value made four times as large by correction asks for the quantile of 1.25 %: 2.498 instead of 1.960
    assert more_examples(found, 4.0, 500, 0.0) == pytest.approx(500 * (4 * (2.498 / 1.960) ** 2 - 1), rel=0.01)
    # the interval alone would have it decided; the test, whose z is 2.226, asks for 2.498
    assert more_examples(Paired(0.183, 0.033, 0.317, 0.026), 4.0, 60, 0.02) == 16


def test_no_number_of_examples_tells_what_seeds_blur() -> None:
    blurred = Paired(0.02, -0.04, 0.08, 0.5, seed_error=0.03)
    assert more_examples(blurred, 1.0, 500, 0.0) is None
    assert more_examples(Paired(0.0, -0.02, 0.02, 1.0), 1.0, 500, 0.0) is None


def test_what_must_improve_is_corrected_apart_from_what_must_not_be_lost() -> None:
    rng = np.random.default_rng(0)
    difficulty = rng.standard_normal(400)
    base = binary(answers(rng, difficulty, 1, mean=1.0))
    tuned = binary(answers(rng, difficulty, 1, mean=1.4))
    alone = compare(tuned, base, ACCURACY)
    names = {"target": (ACCURACY, "improved", 0.01)} | {f"r{i}": (ACCURACY, "not_regressed", 0.01) for i in range(4)}
    names |= {"told": (ACCURACY, "none", 0.01)}
    found = checked(names, dict.fromkeys(names, base), dict.fromkeys(names, tuned))
    assert found[0].p_adjusted == found[0].p_value == alone.p_value
    assert found[1].p_adjusted == pytest.approx(min(1.0, 4 * alone.p_value))
    assert found[-1].p_adjusted == alone.p_value, "what guards nothing is neither corrected nor counted"
    assert [record.check for record in found] == list(names)
    assert found[0].base.value == pytest.approx(ACCURACY.of(base[0]))
    assert found[0].tuned.value == pytest.approx(ACCURACY.of(tuned[0]))


def _share_failed(repeats: int, seeds: int, n: int, drop: float = 0.0) -> float:
    """How often one of five retention checks fails where the tuned model is `drop` worse in the first, in logits."""
    rng, failed = np.random.default_rng(1), 0
    names = {f"r{i}": (ACCURACY, "not_regressed", 0.01) for i in range(5)}
    for _ in range(repeats):
        base, tuned = {}, {}
        for place, name in enumerate(names):
            difficulty = 1.5 * rng.standard_normal(n)
            base[name] = binary(answers(rng, difficulty, 1, mean=2.5))
            tuned[name] = binary(answers(rng, difficulty, seeds, mean=2.5 - drop * (place == 0)))
        failed += any(not record.passed for record in checked(names, base, tuned))
    return failed / repeats


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [1, 3])
def test_without_a_true_difference_at_most_one_release_in_twenty_is_stopped(seeds: int) -> None:
    share = _share_failed(400, seeds, 1000)
    print(f"{seeds} seeds: {share:.1%} of releases stopped without a true difference")
    assert share <= 0.05 + 1.64 * np.sqrt(0.05 * 0.95 / 400)


@pytest.mark.slow
def test_power_against_three_points() -> None:
    """87 % right, three points less in one of five checks of 1,000 examples."""
    share = _share_failed(200, 1, 1000, drop=0.35)
    print(f"{share:.1%} of such losses found")
    assert share > 0.25


def test_more_checks_ask_for_more_examples_even_where_p_is_at_its_end() -> None:
    """Holm's p stops at 1, what it asks of the p-value does not."""
    rng = np.random.default_rng(1)
    difficulty = rng.standard_normal(300)
    base, tuned = (binary(answers(rng, difficulty, 1, mean=mean)) for mean in (1.0, 1.1))
    needed = []
    for family in (4, 10, 20):
        names = {f"r{i}": (ACCURACY, "not_regressed", 0.0) for i in range(family)}
        first = checked(names, dict.fromkeys(names, base), dict.fromkeys(names, tuned))[0]
        assert first.status == "undecided"
        needed.append(first.more_examples)
    assert first.p_adjusted == 1.0
    assert needed[0] < needed[1] < needed[2]
