"""Runs sides in turn, each in a process of its own where memory or warm caches would tell, and compares their times."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable
from typing import Any

from benchmarks.lib.results import BENCHMARKS


def alone(function: str, *given: Any, environment: dict[str, str] | None = None) -> Any:
    """What `module:function` of the cases returns in a process that does nothing else, through JSON."""
    command = [sys.executable, str(BENCHMARKS / "run.py"), "--alone", function, json.dumps(given)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **(environment or {})})
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout.strip().splitlines()[-1])


def in_turn(
    title: str, sides: Iterable[str], once: Callable[..., Any], repeats: int, *given: Any
) -> list[dict[str, Any]]:
    """So many runs of each side, one after the other, so that a machine's moods fall on all of them."""
    runs = []
    for _ in range(repeats):
        runs.append({side: once(side, *given) for side in sides})
        print(title, {side: f"{seconds(found):.1f} s" for side, found in runs[-1].items()}, flush=True)
    return runs


def seconds(found: Any) -> float:
    return float(found["seconds"] if isinstance(found, dict) else found)


def times_faster(runs: list[dict[str, Any]], ours: str = "ours") -> dict[str, float]:
    """How many times as fast as each other side ours is: the median over the runs."""
    return {
        side: statistics.median(seconds(run[side]) / seconds(run[ours]) for run in runs)
        for side in runs[0]
        if side != ours
    }
