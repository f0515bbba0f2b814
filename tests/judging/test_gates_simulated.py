"""How often claims, gates and intervals are wrong: the benchmark gates_simulated, with few repetitions or many."""

from __future__ import annotations

import importlib
import math
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture
def simulated(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(Path(__file__).parents[2])
    return importlib.import_module("benchmarks.cases.gates_simulated")


def few(share: float, repeats: int) -> float:
    """The share that so many repetitions of a rarer event don't exceed, but for one time in two hundred."""
    return share + 2.6 * math.sqrt(share * (1 - share) / repeats)


@pytest.mark.parametrize("what", ["difference, 3 seeds that differ", "difference of differences", "ECE, too sure"])
def test_intervals_cover_in_most_samples(simulated: ModuleType, what: str) -> None:
    assert simulated.covered(what, 300, 80) >= 0.86


def test_no_wrong_claim_in_most_samples(simulated: ModuleType) -> None:
    assert simulated.within_margin(300, -3, 3, 0.1, 3, 60) <= few(0.05, 60)
    assert simulated.gate(300, -2, 0.02, 3, 0.1, 60) <= few(0.05, 60)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("n", [100, 300, 1000, 3000])
@pytest.mark.parametrize("seeds", [1, 3, 5])
def test_false_claims_and_passes_are_one_in_twenty_at_most(simulated: ModuleType, n: int, seeds: int) -> None:
    repeats = 800
    found = {}
    for what, happens in simulated.cases(n, seeds, simulated.SPREAD if seeds > 1 else 0.0, repeats).items():
        found[what] = happens()
        print(f"{n} examples, {seeds} seeds: {what}: {found[what]:.3f}")
    for what in ("3 points worse, called within 1", "1 point worse, called within 1",
                 "2 points lost, tolerance 2: passed", "nothing gained: passed as improved"):  # fmt: skip
        assert found[what] <= few(0.05, repeats), what
    assert found["ten, each 3 points worse, any called within 1"] <= few(0.05, repeats // 4)
    if n == 3000 and seeds == 1:
        assert found["as good, called within 1"] > 0.25
        assert found["5 points gained: passed as improved"] > 0.95


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("n", [300, 1000, 3000])
@pytest.mark.parametrize("what", [
    "accuracy, 1 seed", "accuracy, 3 seeds alike", "accuracy, 3 seeds that differ", "accuracy, clusters of 5",
    "difference, 1 seed", "difference, 3 seeds alike", "difference, 3 seeds that differ", "difference, clusters of 5",
    "difference of differences", "ECE, calibrated", "ECE, too unsure", "ECE, too sure", "ECE, much too sure",
])  # fmt: skip
def test_intervals_cover(simulated: ModuleType, what: str, n: int) -> None:
    repeats = 1000
    share = simulated.covered(what, n, repeats)
    print(f"{what}, {n} examples: {share:.3f}")
    error = 2.6 * math.sqrt(0.05 * 0.95 / repeats)
    assert 0.935 - error <= share <= 0.965 + error


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("what", [
    "difference of ECE, too sure and much too sure", "difference of ECE, too sure and calibrated",
])  # fmt: skip
def test_intervals_of_a_difference_of_ece_are_not_too_narrow(simulated: ModuleType, what: str) -> None:
    repeats = 400
    assert simulated.covered(what, 300, repeats) >= 0.935 - 2.6 * math.sqrt(0.05 * 0.95 / repeats)
