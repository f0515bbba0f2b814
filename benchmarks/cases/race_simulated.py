"""Races under a budget of one fine-tune, simulated from trainings that were measured on few rows.

For each draw of the case race_curves 100 races, each of some of the methods and with validation examples drawn anew.
The budget is what a plain fine-tune of 10 epochs takes: `PEER` times the seconds of as many of ours. Each race goes the
way that `comparison.race` plans; a training of a length that was not measured is one of its neighbours, by chance.
Looks at the test split count for as many examples as are trained on. Beside it: all methods trained to their end, and
the best on validation taken. The result says on which draws the rules were chosen (`CHOSEN_ON`): the others are held
out. `tests/comparison/test_race_simulated.py` holds both to the targets.
"""

from __future__ import annotations

import base64
import json
import math
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from benchmarks.lib.results import RECORD, Results, machine

from headstart.comparison.race.budget import RESERVE, Contender, finals, planned, shortest
from headstart.comparison.race.race import FEW_EPOCHS, Standing, in_order
from headstart.comparison.selection import DEFAULT_METHODS
from headstart.engine.forecast import Cost
from headstart.engine.job import Options
from headstart.stats.metrics import metric
from headstart.stats.predictions import Predictions

RESULTS = ("race-simulated",)
QUICK = {"races": 2}
CURVES = RECORD / "race-curves.json"
ACCURACY = metric("single_label")
PEER = 3.2
"times as long as ours a plain fine-tune takes (the case engine)"
EPOCHS = 10
"of the plain fine-tune"
SEEDS = 3
RACES = 100
CHOSEN_ON = ("trec 100 0", "gist-trec 100 0", "medical 100 0", "papirus 100 0", "chest-xray 100 0", "papirus 300 0")
"draws by which the race's rules were chosen; what was measured later had no part in it"


@dataclass
class Draw:
    """What was measured on one draw of examples: which answers were right, and what trainings take."""

    right: dict[tuple[str, float, str], np.ndarray]
    "by method, share and split"
    seconds: dict[tuple[str, float], float]
    "by method and share; less where patience ended a training"
    contenders: dict[str, Contender]
    epochs: int
    budget: float

    @classmethod
    def of(cls, measured: dict[str, Any]) -> Draw:
        usual = Options().sized(measured["size"])
        per_epoch, epochs = -(-measured["size"] // (usual.batch_size or 1)), usual.epochs or 1
        truth = {split: decoded(measured[split]) for split in ("validation", "test")}
        right = {(run["method"], run["share"], split): decoded(run[split]) == truth[split]
                 for run in measured["runs"] for split in truth}  # fmt: skip
        contenders = {}
        for name in {run["method"] for run in measured["runs"]} - {"probe"}:
            runs = [run for run in measured["runs"] if run["method"] == name]
            look = float(np.mean([run["look_seconds"] for run in runs]))
            stepping = sum(run["seconds"] - look * max(1, run["steps"] // per_epoch) for run in runs)
            step = stepping / sum(run["steps"] for run in runs)
            test = float(np.mean([run["test_seconds"] for run in runs])) / len(truth["test"]) * measured["size"]
            contenders[name] = Contender(Cost(per_epoch * epochs, epochs, step, look, begins_well=name == "lpft"), test)
        plain = PEER * EPOCHS * per_epoch * contenders["full"].cost.step_seconds
        seconds = {(run["method"], run["share"]): run["seconds"] for run in measured["runs"]}
        return cls(right, seconds, contenders, epochs, plain)

    def between(self, name: str, share: float) -> tuple[float, float, float]:
        """The measured shares around this one, and where it lies between them, in logarithm."""
        shares = sorted(one for method, one, split in self.right if method == name and split == "test")
        below = max((one for one in shares if one <= share), default=shares[0])
        above = min((one for one in shares if one >= share), default=shares[-1])
        return below, above, math.log(share / below) / math.log(above / below) if above > below else 0.0

    def took(self, name: str, share: float) -> float:
        below, above, place = self.between(name, share)
        return float(self.seconds[name, below] ** (1 - place) * self.seconds[name, above] ** place)


def decoded(text: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), dtype=np.uint8).astype(np.int64)


def standing(right: np.ndarray) -> Standing:
    """Of answers that are right or wrong: as of two classes."""
    found = Predictions(np.arange(len(right)), np.ones(len(right), np.int64), np.eye(2, dtype=np.float32)[right * 1])
    return Standing(found, float(right.mean()))


def raced(draw: Draw, seed: int) -> dict[str, float]:
    """One race against training all to the end and taking the best on the same validation examples."""
    rng = np.random.default_rng(seed)
    names = sorted(draw.contenders)
    chosen = set(rng.choice(names, size=rng.integers(4, len(names) + 1), replace=False))
    listed = [name for name in DEFAULT_METHODS if name in chosen]
    chance, size = rng.random(), len(draw.right["probe", 1.0, "validation"])
    sample = rng.integers(size, size=size)

    def answers(name: str, share: float, split: str) -> np.ndarray:
        """After a training of this share; of one between two that were measured the longer or the shorter by chance."""
        below, above, place = draw.between(name, share)
        found = draw.right[name, above if chance < place else below, split]
        return found[sample] if split == "validation" else found

    def value(name: str, share: float, split: str) -> float:
        return float(answers(name, share, split).mean())

    contenders = [draw.contenders[name] for name in listed]
    course = planned(contenders, draw.budget, SEEDS, 1) or shortest(contenders)
    field = {name: standing(answers(name, course.heat, "validation")) for name in listed}
    left = draw.budget - sum(draw.took(name, course.heat) + draw.contenders[name].test_seconds for name in listed)
    once = course.final * draw.epochs <= FEW_EPOCHS
    order = in_order(field, ACCURACY, listed, lambda name: draw.contenders[name].cost.begins_well, once)
    last = finals([draw.contenders[name] for name in order], course.heat, left * (1 - RESERVE), SEEDS)
    finalists = []
    for place, name in enumerate(order):
        if place == last.finalists and last.final > course.heat:  # seeds come before others
            again = sorted((draw.took(one, last.final) for one in finalists), reverse=True)
            left -= (last.seeds - 1) * sum(again[:1]) + (last.others - 1) * sum(again[1:])
        fits = draw.contenders[name].seconds(last.final) <= left * (1 - RESERVE)
        if last.final == course.heat or not place or fits:
            finalists.append(name)
            left -= draw.took(name, last.final)
    best = max(["probe", *finalists], key=lambda name: value(name, last.final, "validation"))
    winner = max(["probe", *listed], key=lambda name: value(name, 1.0, "validation"))
    sample = rng.integers(size, size=size)  # other validation examples
    other = max(["probe", *listed], key=lambda name: value(name, 1.0, "validation"))
    return {
        "stopped": float(winner not in ("probe", *finalists)),
        "lost": value(winner, 1.0, "test") - value(best, last.final, "test"),
        "lost_by_other_validation": value(winner, 1.0, "test") - value(other, 1.0, "test"),
        "heat": course.heat, "final": last.final, "finalists": len(finalists), "seeds": last.seeds,
    }  # fmt: skip


def simulated(measured: dict[str, Any], races: int = RACES) -> dict[str, float]:
    draw = Draw.of(measured)
    found = [raced(draw, seed) for seed in range(races)]
    told = {key: float(np.mean([race[key] for race in found])) for key in found[0]}
    lost, other = (np.array([race[key] for race in found]) for key in ("lost", "lost_by_other_validation"))
    return told | {
        "lost_more_than_two": float((lost > 0.02).mean()),
        "gained_more_than_two": float((lost < -0.02).mean()),
        "other_validation_lost_more_than_two": float((other > 0.02).mean()),
    }


def draws() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(CURVES.read_text())["draws"]
    return found


def named(measured: dict[str, Any]) -> str:
    return f"{measured['task']} {measured['size']} {measured['draw']}"


def measure(races: Annotated[int, "a draw"] = RACES) -> Results:
    found = {named(draw): simulated(draw, races) for draw in draws()}
    for name, told in found.items():
        print(name, {key: round(value, 3) for key, value in told.items()})
    yield "race-simulated", {
        "schema": "headstart.race-simulated/3", "status": "ok", "races": races, "chosen_on": CHOSEN_ON, "draws": found,
        "environment": machine("fp32"),
    }  # fmt: skip
