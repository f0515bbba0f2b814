"""How often a race loses the eventual winner, from measured learning curves: `benchmarks/race_simulated.py`."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest


@pytest.mark.slow
@pytest.mark.parametrize("name", ["digits", "trec", "icons", "cifar10"])
def test_the_eventual_winner_is_lost_in_one_race_of_twenty_at_most(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
    races = importlib.import_module("race_simulated")
    (task,) = [task for task in races.tasks() if task["task"] == name]
    found = races.simulated(task)
    assert found["lost"] <= 0.05
    assert found["significantly_worse"] <= 0.05
    assert found["regret"] < 0.01
    assert found["cost"] < 0.6
