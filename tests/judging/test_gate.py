"""Gates by non-inferiority: passed, failed or undecided, and how often a set of them is wrong."""

from __future__ import annotations

import numpy as np
import pytest

from headstart.core.records.evaluation import CheckRecord
from headstart.judging.gate import checked, gate_of, needed, status_of, together
from headstart.stats.metrics import metric
from headstart.stats.paired import Paired, compare
from headstart.stats.predictions import Predictions
from stats.simulated import answers, binary

ACCURACY, LOSS = metric("single_label"), metric("single_label", "log_loss")


@pytest.mark.parametrize(
    ("lower", "upper", "status", "guard", "gain"),
    [
        (0.01, 0.05, "improved", "passed", "passed"),
        (-0.008, 0.02, "not worse", "passed", "undecided"),
        (-0.015, -0.002, "worse", "undecided", "failed"),  # certain, but perhaps within the tolerance
        (-0.009, -0.001, "worse, tolerated", "passed", "failed"),
        (-0.1, -0.019, "regressed", "failed", "failed"),
        (-0.02, 0.02, "undecided", "undecided", "undecided"),
        (-0.02, 0.0, "undecided", "undecided", "failed"),  # no gain is possible
        (float("nan"), float("nan"), "undecided", "undecided", "undecided"),
    ],
)
def test_status_and_gates_by_hand(lower: float, upper: float, status: str, guard: str, gain: str) -> None:
    assert status_of(lower, upper, 0.01) == status
    assert gate_of(lower, upper, "not_regressed", 0.01) == guard
    assert gate_of(lower, upper, "improved", 0.01) == gain
    assert gate_of(lower, upper, "none", 0.01) == "none"


def test_one_failure_decides_and_one_open_gate_keeps_it_open() -> None:
    assert together(["passed", "undecided", "failed"]) == "failed"
    assert together(["passed", "undecided", "none"]) == "undecided"
    assert together(["passed", "none"]) == "passed"


def pair(base_right: int, tuned_right: int, n: int) -> tuple[list[Predictions], list[Predictions]]:
    """Base and tuned model of n examples, all that the worse has right being right in the better too."""
    rows = [np.arange(n)[None] < right for right in (base_right, tuned_right)]
    return binary(rows[0]), binary(rows[1])


@pytest.mark.parametrize("beside", [0, 4])
def test_a_loss_of_ten_points_fails_alone_and_among_five(beside: int) -> None:
    """90 to 80 of 100, once undecided and passed where four more checks stood beside it."""
    base, tuned = pair(90, 80, 100)
    names = {f"r{i}": (ACCURACY, "not_regressed", 0.01) for i in range(1 + beside)}
    still = pair(90, 90, 100)
    found = checked(
        names, {n: base if n == "r0" else still[0] for n in names}, {n: tuned if n == "r0" else still[1] for n in names}
    )
    assert (found[0].status, found[0].verdict) == ("regressed", "failed")
    assert all(one.verdict == "undecided" for one in found[1:]), "agreement on 100 shows no 1 % either"
    assert all(250 < (one.examples_needed or 0) < 500 for one in found[1:])


def test_eight_of_eight_to_three_of_eight_is_not_passed() -> None:
    base, tuned = pair(8, 3, 8)
    (found,) = checked({"r": (ACCURACY, "not_regressed", 0.01)}, {"r": base}, {"r": tuned})
    assert found.verdict in ("failed", "undecided")


@pytest.mark.parametrize("loss", [False, True])
def test_of_a_metric_that_should_be_small_the_mirror_image_says_the_same(loss: bool) -> None:
    rng = np.random.default_rng(0)
    targets = rng.integers(2, size=3000)
    sure = np.where(targets, 0.8, 0.2) + 0.1 * rng.standard_normal(3000)
    good, bad = (np.clip(s, 0.01, 0.99) for s in (sure, 0.6 * sure + 0.2))
    runs = [[Predictions(np.arange(3000), targets, np.stack([1 - s, s], 1))] for s in (good, bad)]
    if loss:
        runs.reverse()
    (found,) = checked({"loss": (LOSS, "not_regressed", 0.01)}, {"loss": runs[1]}, {"loss": runs[0]})
    assert (found.status, found.verdict) == (("regressed", "failed") if loss else ("improved", "passed"))
    assert found.lower < found.difference < found.upper
    assert found.low < found.difference < found.high


def test_gains_are_corrected_for_their_number_and_guards_are_not() -> None:
    rng = np.random.default_rng(0)
    difficulty = rng.standard_normal(400)
    base = binary(answers(rng, difficulty, 1, mean=1.0))
    tuned = binary(answers(rng, difficulty, 1, mean=1.6))
    guards = {f"r{i}": (ACCURACY, "not_regressed", 0.01) for i in range(4)} | {"told": (ACCURACY, "none", 0.01)}

    def of(gains: int) -> list[CheckRecord]:
        names = {f"g{i}": (ACCURACY, "improved", 0.01) for i in range(gains)} | guards
        return checked(names, dict.fromkeys(names, base), dict.fromkeys(names, tuned))

    one, many = of(1), of(40)
    assert one[0].verdict == "passed"
    assert many[0].verdict == "undecided", "certain alone, not among forty"
    assert many[0].p_gate == pytest.approx(min(1.0, 40 * one[0].p_gate))
    assert (many[0].examples_needed or 0) > 400
    assert one[1].p_gate == many[-2].p_gate
    assert many[-1].p_gate is None
    assert many[-1].verdict == "none"
    assert one[0].p_value == compare(tuned, base, ACCURACY).p_value
    assert one[0].base.value == pytest.approx(ACCURACY.of(base[0]))
    assert one[0].tuned.value == pytest.approx(ACCURACY.of(tuned[0]))


def test_so_many_examples_decide_either_way() -> None:
    """Standard error .01 of 1,000: (1.645 + .842)^2 .0001 * 1000 / gap^2."""
    found = Paired(0.0, 0.0, 0.0, 1.0, error=0.01)
    assert needed(found, 1000, "not_regressed", 0.01) == pytest.approx(6184, abs=2)
    assert needed(found, 1000, "improved", 0.01) is None, "no gain at all is never shown, nor its contrary"
    lost = Paired(-0.03, 0.0, 0.0, 1.0, error=0.01)
    assert needed(lost, 1000, "not_regressed", 0.01) == pytest.approx(6184 / 4, abs=2), "until the loss is shown"
    assert needed(lost, 1000, "improved", 0.01) == pytest.approx(6184 / 9, abs=2)
    blurred = Paired(0.0, 0.0, 0.0, 1.0, error=0.01, seed_error=0.02)
    assert needed(blurred, 1000, "not_regressed", 0.01) is None


@pytest.mark.parametrize("seeds", [1, 3])
def test_a_true_loss_of_the_tolerance_seldom_passes(seeds: int) -> None:
    """Few repetitions of what the benchmark gates_simulated does with many."""
    rng, passed = np.random.default_rng(1), 0
    for _ in range(60):
        difficulty = 1.5 * rng.standard_normal(400)
        base = binary(answers(rng, difficulty, 1, mean=2.5))
        tuned = binary(answers(rng, difficulty, seeds, mean=2.2))  # about three points less
        (found,) = checked({"r": (ACCURACY, "not_regressed", 0.02)}, {"r": base}, {"r": tuned})
        passed += found.verdict == "passed"
    assert passed <= 6
