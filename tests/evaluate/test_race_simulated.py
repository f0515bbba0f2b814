"""How often a race loses the eventual winner, from learning curves measured by `benchmarks/race_curves.py`."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headstart.evaluate.metrics import metric
from headstart.evaluate.predictions import Predictions
from headstart.evaluate.race import HEATS, Standing, heat

CURVES = Path(__file__).parents[2] / "benchmarks" / "results" / "race-curves.json"
ACCURACY = metric("single_label")
Runner = tuple[str, int]


def decoded(text: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), dtype=np.uint8).astype(np.int64)


def standing(run: dict[str, Any], at: int, truth: np.ndarray, sample: np.ndarray, classes: int) -> Standing:
    given = decoded(run["answers"][at])[sample]
    found = Predictions(np.arange(len(sample)), truth[sample], np.eye(classes, dtype=np.float32)[given])
    return Standing(found, ACCURACY.of(found), 0.0, run["seconds"][at], run["control"])


def raced(task: dict[str, Any], seed: int) -> dict[str, float]:
    """One race: a few of the task's methods, judged on validation examples drawn anew.

    The winner is who would have won with every training run to its end, on the same examples.
    """
    rng = np.random.default_rng(seed)
    truth, classes = decoded(task["truth"]), task["classes"]
    names = sorted({run["method"] for run in task["runs"]})
    chosen = set(rng.choice(names, size=rng.integers(4, len(names) + 1), replace=False))
    runs = {(run["method"], i): run for i, run in enumerate(task["runs"]) if run["method"] in chosen}
    sample = rng.integers(len(truth), size=len(truth))
    final = {key: standing(run, 2, truth, sample, classes) for key, run in runs.items()}
    seconds, running = 0.0, list(runs)
    for number in range(len(HEATS)):
        field = {key: standing(runs[key], number, truth, sample, classes) for key in running}
        stops = heat(field, ACCURACY, number, lambda key: key[0])
        seconds += sum(field[key].seconds for key in stops)
        running = [key for key in running if key not in stops]
    seconds += sum(final[key].seconds for key in running)
    real = {key: one.score for key, one in final.items() if not one.control} or {k: o.score for k, o in final.items()}
    best = max(real.values())
    winners = {name for (name, _), score in real.items() if score == best}
    return {
        "lost": not winners & {name for name, _ in running},
        "regret": best - max((final[key].score for key in running), default=0.0),
        "cost": seconds / sum(one.seconds for one in final.values()),
    }


@pytest.mark.slow
def test_the_eventual_winner_is_lost_in_one_race_of_twenty_at_most() -> None:
    tasks = json.loads(CURVES.read_text())["tasks"]
    found = [raced(tasks[seed % len(tasks)], seed) for seed in range(200)]
    lost, regret, cost = (float(np.mean([race[key] for race in found])) for key in ("lost", "regret", "cost"))
    print(f"lost {lost:.1%}, regret {100 * regret:.2f} points, {cost:.0%} of the time of all trainings in full")
    assert lost <= 0.05
    assert regret < 0.005
    assert cost < 0.8
