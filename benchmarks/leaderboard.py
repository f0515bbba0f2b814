"""The whole leaderboard of the default methods against one ordinary full fine-tune, in its time.

    python benchmarks/leaderboard.py [--repeats 3] [--peer defaults|tuned] [--share 0.98] [--add]

TREC with MiniLM. A pair: transformers' Trainer for 3 epochs at its defaults, `headstart.compare` with a budget of
`--share` of the time that took. With `--peer tuned` it is the Trainer as a knowing user would tune it, and the budget
nearly twice its time. Each runs in a process of its own. The comparison's seconds are those of the whole call: reading,
audit, loading, forecast, trainings, testing, report; the Trainer's begin with tokenizing and end with the last step.
Writes benchmarks/results/leaderboard.json, or leaderboard-tuned.json, after each pair; `--add` puts pairs to those that
are there. The headline: rows with a value, epochs and seeds of the methods that the verdict names, and the recommended
model's accuracy beside the peer's, means over the pairs.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
sys.path.insert(0, str(Path(__file__).parent))

import peers

import engine

RESULTS = {"defaults": peers.RESULTS / "leaderboard.json", "tuned": peers.RESULTS / "leaderboard-tuned.json"}
SHARES = {"defaults": 0.98, "tuned": 1.96}
"of the Trainer's time: the budget"
EPOCHS = 3


def leaderboard(budget: float, examples: int) -> dict[str, Any]:
    import headstart

    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        data = engine.some(examples) if examples else peers.shared() / "text" / "trec"
        record = headstart.compare(
            data, peers.minilm(), out=Path(folder) / "run", seeds=3, trials=3, budget=f"{budget:.1f}s",
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
    """What the pairs came to, in one sentence."""
    ours = [run["ours"] for run in runs]
    valued = [sum(row["value"] is not None for row in one["rows"]) for one in ours]
    named = [row for one in ours for row in one["rows"] if row["method"] in one["named"]]
    epochs = [row["epochs"] for row in named if row["epochs"]]
    seeds = sorted({len(row["seeds"]) for row in named if row["epochs"]})
    mean = {side: 100 * statistics.fmean(run[side]["accuracy"] for run in runs) for side in ("ours", peer)}
    share = statistics.median(run["ours"]["seconds"] / run[peer]["seconds"] for run in runs)
    lengths = " to ".join(dict.fromkeys(f"{one:.2g}" for one in (min(epochs, default=0), max(epochs, default=0))))
    return (
        f"{min(valued)} of {len(ours[0]['rows'])} rows with a value in {share:.2f} of the peer's time; what the "
        f"verdict names trained {lengths} epochs with {' or '.join(map(str, seeds)) or 'no'} "
        f"seed{'s' * (seeds != [1])}; recommended {mean['ours']:.1f} %, the peer {mean[peer]:.1f} % "
        + (f"(means over {len(runs)} pairs)" if len(runs) > 1 else "(one pair)")
    )


def one(side: str, budget: float, epochs: int, examples: int) -> dict[str, Any]:
    if side == "ours":
        return leaderboard(budget, examples)
    return engine.trainer("full", engine.some(examples), epochs, side)


def main() -> None:
    import torch

    from headstart.core.disk.files import write_json
    from headstart.core.environment import environment
    from headstart.engine.machine.precision import compute

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--peer", choices=list(RESULTS), default="defaults", help="whose time the budget is a share of")
    parser.add_argument("--share", type=float, help=f"of that time: the budget (default: {SHARES})")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--examples", type=int, default=0, help="of the training split, 0 for all")
    parser.add_argument("--add", action="store_true", help="to the pairs that are there")
    parser.add_argument("--note", default="", help="about the machine, for the record")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        side, budget = arguments.one
        print(json.dumps(one(side, float(budget), arguments.epochs, arguments.examples)))
        return
    share, peer = arguments.share or SHARES[arguments.peer], arguments.peer
    runs: list[dict[str, Any]] = json.loads(RESULTS[peer].read_text())["runs"] if arguments.add else []
    for _ in range(arguments.repeats):
        run: dict[str, Any] = {}
        for side in (peer, "ours"):
            budget = share * run[peer]["seconds"] if run else 0.0
            command = [sys.executable, __file__, "--one", side, str(budget), "--epochs", str(arguments.epochs)]
            done = subprocess.run(
                [*command, "--examples", str(arguments.examples)], capture_output=True, text=True
            )  # fmt: skip
            if done.returncode:
                sys.exit(done.stderr)
            run[side] = json.loads(done.stdout.strip().splitlines()[-1])
            print(side, f"{run[side]['seconds']:.0f} s, accuracy {run[side]['accuracy']:.4f}", flush=True)
        runs.append(run)
        print(run["ours"]["verdict"], headline(runs, peer), sep="\n", flush=True)
        share_of = statistics.median(run["ours"]["seconds"] / run[peer]["seconds"] for run in runs)
        write_json(RESULTS[peer], {
            "schema": "headstart.leaderboard/2", "status": "ok", "note": arguments.note, "runs": runs,
            "headline": headline(runs, peer), "epochs": arguments.epochs, "examples": arguments.examples or "all",
            "share_of_the_peers_time": {peer: share_of},
            "threads": torch.get_num_threads(),
            "environment": environment(str(compute(None).device), compute(None).precision).to_json(),
        })  # fmt: skip


if __name__ == "__main__":
    main()
