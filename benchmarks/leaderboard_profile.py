"""Where the time of the whole leaderboard goes: `headstart compare` of the default methods, under a budget.

    python benchmarks/leaderboard_profile.py [--budget 195]

One run of what benchmarks/leaderboard.py times, under Python's profiler, which makes it a few per cent slower. Writes
benchmarks/results/leaderboard-profile.json.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import leaderboard
import peers
import torch

RESULT = peers.RESULTS / "leaderboard-profile.json"
PARTS = {
    "forward and backward passes of the steps": (("memory.py", "backward"),),
    "optimizer and clipping": (("rows.py", "step"), ("rows.py", "clip")),
    "validation and test": (("adaptation.py", "logits"),),
    "one pass that fills the cache for all": (("cache.py", "fill"),),
    "solving heads": (("convex.py", "solve"),),
    "forecast: a few steps of each method": (("forecast.py", "cost"),),
    "artifacts: saved, reloaded, compared": (("artifact.py", "save"), ("artifact.py", "reloaded")),
    "latency of one example": (("latency.py", "latency"),),
    "reading, audit, split": (("loading.py", "read"),),
    "loading the model": (("loading.py", "load"),),
}
"functions whose time is none of another part's"


def main() -> None:
    from headstart.core.disk.files import write_json
    from headstart.core.environment import environment
    from headstart.engine.machine.precision import compute

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budget", type=float, default=195.0, help="seconds")
    parser.add_argument("--examples", type=int, default=0, help="of the training split, 0 for all")
    parser.add_argument("--note", default="", help="about the machine, for the record")
    arguments = parser.parse_args()
    profiler = cProfile.Profile()
    profiler.enable()
    run = leaderboard.leaderboard(arguments.budget, arguments.examples)
    profiler.disable()
    own = {
        (Path(file).name, name): (calls, cumulative)
        for (file, _, name), (_, calls, _, cumulative, _) in pstats.Stats(profiler).stats.items()  # type: ignore[attr-defined]
        if "headstart" in file
    }
    seconds = {part: sum(own.get(key, (0, 0.0))[1] for key in keys) for part, keys in PARTS.items()}
    seconds["all else"] = run["seconds"] - sum(seconds.values())
    print({part: round(value, 1) for part, value in seconds.items()}, f"{run['seconds']:.0f} s")
    write_json(RESULT, {
        "schema": "headstart.leaderboard-profile/1", "status": "ok", "note": arguments.note, "seconds": seconds,
        "whole": run["seconds"], "steps": own[("memory.py", "backward")][0], "budget": arguments.budget,
        "finished": [row["method"] for row in run["rows"] if row["status"] == "ok"], "threads": torch.get_num_threads(),
        "environment": environment("cpu", compute(None).precision).to_json(),
    })  # fmt: skip


if __name__ == "__main__":
    main()
