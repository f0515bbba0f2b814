"""The whole leaderboard against one ordinary full fine-tune: ten methods and two controls, in its time.

    python benchmarks/leaderboard.py [--repeats 3] [--peer defaults|tuned] [--share 0.95]

TREC with MiniLM. A pair: transformers' Trainer for 3 epochs at its defaults, then `headstart.compare` with a budget of
`--share` of the time that took, then the Trainer as a knowing user would tune it. With `--peer tuned` the budget is
twice the tuned Trainer's time, less a twentieth, and the defaults are left out. Each runs in a process of its own. The
comparison tunes rates and trains for as many epochs as the budget allows, which the record tells; its seconds are those
of the whole call: reading, audit, loading, tuning, training, testing, report; the Trainer's begin with tokenizing and
end with the last step. Writes benchmarks/results/leaderboard.json, or leaderboard-tuned.json.
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
SHARES = {"defaults": 0.95, "tuned": 1.9}
"of the Trainer's time: the budget"
SIDES = {"defaults": ("defaults", "ours", "tuned"), "tuned": ("tuned", "ours")}
"in the order in which they run"
METHODS = (
    "probe", "mix", "full", "freeze", "unfreeze", "discriminative", "ulmfit", "lpft", "lora", "pfeiffer",
    "scratch", "majority",
)  # fmt: skip
EPOCHS = 3


def leaderboard(budget: float, examples: int) -> dict[str, Any]:
    import headstart

    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        data = engine.some(examples) if examples else peers.shared() / "text" / "trec"
        record = headstart.compare(
            data, peers.minilm(), out=Path(folder) / "run", methods=METHODS, seeds=3, trials=3,
            budget=f"{budget:.0f}s", remember=False,
        )  # fmt: skip
        seconds = time.perf_counter() - start
    found = record.to_json()
    used = next(row for row in found["rows"] if row["method"] == found["verdict"]["method"])
    return {
        "seconds": seconds, "budget": budget, "accuracy": used["value"], "verdict": found["verdict"]["sentence"],
        "forecast": found["forecast"], "seeds": found["seeds"],
        "rows": [
            {key: row[key] for key in ("method", "status", "value", "low", "high", "seeds", "learning_rate", "stopped")}
            | {"trials": len(row["trials"])}
            for row in found["rows"]
        ],
    }  # fmt: skip


def one(side: str, budget: float, epochs: int, examples: int) -> dict[str, Any]:
    if side == "ours":
        return leaderboard(budget, examples)
    return engine.trainer("full", engine.some(examples), epochs, side)


def main() -> None:
    import torch

    from headstart.core.environment import environment
    from headstart.core.files import write_json
    from headstart.engine.precision import compute

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--peer", choices=list(SIDES), default="defaults", help="whose time the budget is a share of")
    parser.add_argument("--share", type=float, help=f"of that time: the budget (default: {SHARES})")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--examples", type=int, default=0, help="of the training split, 0 for all")
    parser.add_argument("--note", default="", help="about the machine, for the record")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        side, budget = arguments.one
        print(json.dumps(one(side, float(budget), arguments.epochs, arguments.examples)))
        return
    share, peer = arguments.share or SHARES[arguments.peer], arguments.peer
    runs: list[dict[str, Any]] = []
    for _ in range(arguments.repeats):
        run: dict[str, Any] = {}
        for side in SIDES[peer]:
            budget = share * run[peer]["seconds"] if run else 0.0
            command = [sys.executable, __file__, "--one", side, str(budget), "--epochs", str(arguments.epochs)]
            done = subprocess.run(
                [*command, "--examples", str(arguments.examples)], capture_output=True, text=True
            )  # fmt: skip
            if done.returncode:
                sys.exit(done.stderr)
            run[side] = json.loads(done.stdout.strip().splitlines()[-1])
            print(side, f"{run[side]['seconds']:.0f} s, accuracy {run[side]['accuracy']:.4f}", flush=True)
        print(run["ours"]["verdict"], flush=True)
        runs.append(run)
        write_json(RESULTS[peer], {
            "schema": "headstart.leaderboard/1", "status": "ok", "note": arguments.note, "runs": runs,
            "methods": METHODS, "epochs": arguments.epochs, "examples": arguments.examples or "all",
            "share_of_the_peers_time": {
                side: statistics.median(run["ours"]["seconds"] / run[side]["seconds"] for run in runs)
                for side in SIDES[peer] if side != "ours"
            },
            "threads": torch.get_num_threads(),
            "environment": environment(str(compute(None).device), compute(None).precision).to_json(),
        })  # fmt: skip


if __name__ == "__main__":
    main()
