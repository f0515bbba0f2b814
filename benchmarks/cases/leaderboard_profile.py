"""Where the time of the whole leaderboard goes: `headstart compare` of the default methods, under a budget.

One run of what the case leaderboard times, under Python's profiler, which makes it a few per cent slower.
"""

from __future__ import annotations

import cProfile
import pstats
from pathlib import Path
from typing import Annotated

import torch
from benchmarks.cases.leaderboard import leaderboard
from benchmarks.lib.results import Note, Results, machine

RESULTS = ("leaderboard-profile",)
QUICK = {"budget": 20.0, "examples": 200}
PARTS = {
    "forward and backward passes of the steps": (("runtime.py", "backward"),),
    "optimizer and clipping": (("rows.py", "step"), ("rows.py", "clip")),
    "validation and test": (("adaptation.py", "logits"),),
    "one pass that fills the cache for all": (("cache.py", "fill"),),
    "solving heads": (("convex.py", "solve"),),
    "forecast: a few steps of each method": (("forecast.py", "cost"),),
    "artifacts: saved, reloaded, compared": (("artifact.py", "save"), ("artifact.py", "reloaded")),
    "latency of one example": (("latency.py", "latencies"),),
    "reading, audit, split": (("loading.py", "read"),),
    "loading the model": (("loading.py", "load"),),
}
"functions whose time is none of another part's"


def measure(
    budget: Annotated[float, "seconds"] = 195.0,
    examples: Annotated[int, "of the training split, 0 for all"] = 0,
    note: Note = "",
) -> Results:
    from headstart.engine.machine.precision import compute

    profiler = cProfile.Profile()
    profiler.enable()
    run = leaderboard(budget, examples)
    profiler.disable()
    own = {
        (Path(file).name, name): (calls, cumulative)
        for (file, _, name), (_, calls, _, cumulative, _) in pstats.Stats(profiler).stats.items()  # type: ignore[attr-defined]
        if "headstart" in file
    }
    seconds = {part: sum(own.get(key, (0, 0.0))[1] for key in keys) for part, keys in PARTS.items()}
    seconds["all else"] = run["seconds"] - sum(seconds.values())
    print({part: round(value, 1) for part, value in seconds.items()}, f"{run['seconds']:.0f} s")
    yield "leaderboard-profile", {
        "schema": "headstart.leaderboard-profile/1", "status": "ok", "note": note, "seconds": seconds,
        "whole": run["seconds"], "steps": own[("runtime.py", "backward")][0], "budget": budget,
        "finished": [row["method"] for row in run["rows"] if row["status"] == "ok"], "threads": torch.get_num_threads(),
        "environment": machine(compute(None).precision),
    }  # fmt: skip
