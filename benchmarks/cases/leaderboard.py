"""The whole leaderboard of the default methods against one ordinary full fine-tune, in its time.

TREC with MiniLM. A pair: transformers' Trainer for 3 epochs at its defaults, `headstart.compare` with a budget of
`--share` of the time that took. With `--peer tuned` it is the Trainer as a knowing user would tune it, and the budget
nearly twice its time. Each runs in a process of its own. The comparison's seconds are those of the whole call: reading,
audit, loading, forecast, trainings, testing, report; the Trainer's begin with tokenizing and end with the last step.
Kept after each pair, as leaderboard or leaderboard-tuned; `--add` puts pairs to those that are there.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any, Literal

from benchmarks.cases import engine
from benchmarks.lib.data import minilm, shared
from benchmarks.lib.results import Note, Results, machine, read
from benchmarks.lib.timing import alone

RESULTS = ("leaderboard", "leaderboard-tuned")
QUICK = {"repeats": 1, "epochs": 1, "examples": 200}
SHARES = {"defaults": 0.98, "tuned": 1.96}
"of the Trainer's time: the budget"
EPOCHS = 3


def leaderboard(budget: float, examples: int) -> dict[str, Any]:
    import headstart

    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        data = engine.questions(examples) if examples else shared() / "text" / "trec"
        record = headstart.compare(
            data, minilm(), out=Path(folder) / "run", seeds=3, trials=3, budget=f"{budget:.1f}s",
            remember=False,
        )  # fmt: skip
        seconds = time.perf_counter() - start
    found = record.to_json()
    used = next(row for row in found["rows"] if row["method"] == found["verdict"]["method"])
    return {
        "seconds": seconds, "budget": budget, "accuracy": used["value"], "verdict": found["verdict"]["sentence"],
        "forecast": found["forecast"],
        "named": sorted({found["verdict"].get(key) for key in ("method", "reference", "cheapest")} - {None}),
        "rows": [
            {key: row[key] for key in ("method", "status", "value", "low", "high", "seeds", "learning_rate", "stopped")}
            | {"trials": len(row["trials"]), "epochs": epochs_of(row)}
            for row in found["rows"]
        ],
    }  # fmt: skip


def epochs_of(row: dict[str, Any]) -> float | None:
    """Of its longest training; None of a head that is solved."""
    return max((point["epoch"] for seed in row["seeds"] for point in seed["curve"]), default=None)


def headline(runs: list[dict[str, Any]], peer: str) -> str:
    """The outcome of the pairs, in a few sentences."""
    ours = [run["ours"] for run in runs]
    valued = [sum(row["value"] is not None for row in one["rows"]) for one in ours]
    named = [row for one in ours for row in one["rows"] if row["method"] in one["named"]]
    epochs = [row["epochs"] for row in named if row["epochs"]]
    seeds = sorted({len(row["seeds"]) for row in named if row["epochs"]})
    mean = {side: 100 * statistics.fmean(run[side]["accuracy"] for run in runs) for side in ("ours", peer)}
    share = statistics.median(run["ours"]["seconds"] / run[peer]["seconds"] for run in runs)
    lengths = " to ".join(dict.fromkeys(f"{one:.2g}" for one in (min(epochs, default=0), max(epochs, default=0))))
    return (
        f"{min(valued)} of {len(ours[0]['rows'])} methods get a value, in {share:.2f} of the Trainer's time. The "
        f"methods that the verdict names trained {lengths} epochs with {' or '.join(map(str, seeds)) or 'no'} "
        f"seed{'s' * (seeds != [1])}. The recommended model has a test accuracy of {mean['ours']:.1f} %, the Trainer's "
        f"{mean[peer]:.1f} % ({f'means over {len(runs)} pairs' if len(runs) > 1 else 'one pair'})."
    )


def one(side: str, budget: float, epochs: int, examples: int) -> dict[str, Any]:
    if side == "ours":
        return leaderboard(budget, examples)
    return engine.trainer("full", engine.questions(examples), epochs, side)


def measure(
    repeats: int = 3,
    peer: Annotated[Literal["defaults", "tuned"], "whose time the budget is a share of"] = "defaults",
    share: Annotated[float | None, f"of that time: the budget; where none is given {SHARES}"] = None,
    epochs: int = EPOCHS,
    examples: Annotated[int, "of the training split, 0 for all"] = 0,
    add: Annotated[bool, "to the pairs that are there"] = False,
    note: Note = "",
) -> Results:
    import torch

    from headstart.engine.machine.precision import compute

    share, result = share or SHARES[peer], {"defaults": "leaderboard", "tuned": "leaderboard-tuned"}[peer]
    runs: list[dict[str, Any]] = (read(result) or {"runs": []})["runs"] if add else []
    for _ in range(repeats):
        run: dict[str, Any] = {}
        for side in (peer, "ours"):
            budget = share * run[peer]["seconds"] if run else 0.0
            run[side] = alone("leaderboard:one", side, budget, epochs, examples)
            print(side, f"{run[side]['seconds']:.0f} s, accuracy {run[side]['accuracy']:.4f}", flush=True)
        runs.append(run)
        print(run["ours"]["verdict"], headline(runs, peer), sep="\n", flush=True)
        share_of = statistics.median(run["ours"]["seconds"] / run[peer]["seconds"] for run in runs)
        yield result, {
            "schema": "headstart.leaderboard/2", "status": "ok", "note": note, "runs": runs,
            "epochs": epochs, "examples": examples or "all",
            "share_of_the_peers_time": {peer: share_of}, "threads": torch.get_num_threads(),
            "environment": machine(compute(None).precision, str(compute(None).device)),
        }  # fmt: skip
