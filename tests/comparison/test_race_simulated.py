"""What races under a budget lose, from measured trainings on few rows: the benchmark race_simulated."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest


@pytest.mark.slow
@pytest.mark.parametrize("held_out", [False, True])
def test_a_race_in_the_time_of_one_fine_tune_loses_at_most_a_point(
    monkeypatch: pytest.MonkeyPatch, held_out: bool
) -> None:  # fmt: skip
    """Against training all to their end and taking the best on validation.

    On the draws by which the rules were chosen, more than two points are lost in at most 5 % more races than by chance
    alone: by the same choice among the same trainings on other validation examples, which are few. The target, at most
    5 % of races in all, is less than chance alone brings, and not met. On the draws held out neither is met: on one of
    them nothing beats guessing by much, and the race's choice is another guess; see docs/benchmarks.md.
    """
    monkeypatch.syspath_prepend(Path(__file__).parents[2])
    races = importlib.import_module("benchmarks.cases.race_simulated")
    found = [races.simulated(draw) for draw in races.draws() if (races.named(draw) in races.CHOSEN_ON) != held_out]
    assert len(found) >= (4 if held_out else 6)
    assert np.mean([one["lost"] for one in found]) <= 0.01
    if held_out:
        return
    more = [one["lost_more_than_two"] - one["other_validation_lost_more_than_two"] for one in found]
    assert np.mean(more) <= 0.05
