"""How often a race loses the eventual winner: 200 races a task, simulated from learning curves that were measured.

    python benchmarks/race_simulated.py

Each race takes a few of the task's methods at random and validation examples drawn anew. Curves are those of
`benchmarks/race_curves.py`; cifar10's were not looked at when the rules were set. Writes
benchmarks/results/race-simulated.json; `tests/evaluate/test_race_simulated.py` holds the races to their limits.
"""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
import peers

from headstart.core.environment import environment
from headstart.core.files import write_json
from headstart.evaluate.metrics import metric
from headstart.evaluate.paired import compare
from headstart.evaluate.predictions import Predictions
from headstart.evaluate.race import HEATS, SLACK, Standing, heat

RESULT = peers.RESULTS / "race-simulated.json"
CURVES = Path(__file__).parent / "results" / "race-curves.json"
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
    winners = {key for key, score in real.items() if score == best}
    last = max(running, key=lambda key: final[key].score)
    behind = compare([final[last].predictions], [final[min(winners)].predictions], ACCURACY, permutations=1)
    return {
        "lost": not {name for name, _ in winners} & {name for name, _ in running},
        "configuration_lost": not winners & set(running),
        "significantly_worse": (behind.high or 0.0) < 0,
        "regret": best - final[last].score,
        "cost": seconds / sum(one.seconds for one in final.values()),
    }


def simulated(task: dict[str, Any], races: int = 200) -> dict[str, float]:
    """Shares of races that lost the winning method, that lost the one configuration of it that won (others of it may be
    as good), and whose best was significantly worse in the end; points lost in the mean; and time as a share of all
    trainings in full."""
    found = [raced(task, seed) for seed in range(races)]
    return {key: float(np.mean([race[key] for race in found])) for key in found[0]}


def tasks() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(CURVES.read_text())["tasks"]
    return found


def main() -> None:
    results = {task["task"]: simulated(task) for task in tasks()}
    print(json.dumps(results, indent=1))
    write_json(RESULT, {
        "schema": "headstart.race-simulated/1", "status": "ok", "races": 200, "heats": HEATS, "slack": SLACK,
        "tasks": results, "environment": environment("cpu", "fp32").to_json(),
    })  # fmt: skip


if __name__ == "__main__":
    main()
