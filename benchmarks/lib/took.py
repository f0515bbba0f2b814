"""How long a case last took, by its results."""

from __future__ import annotations

import json
from typing import Any

from benchmarks.lib.results import PLACES, RECORD


def took(names: tuple[str, ...]) -> str:
    """Of the call that wrote the newest result; of older results, which do not say it, the seconds that they hold."""
    files = [file for name in names for file in ([PLACES[name]] if name in PLACES else RECORD.glob(f"{name}.json"))]
    found = [json.loads(file.read_text(encoding="utf-8")) for file in files if file.exists()]
    if not found:
        return "never measured" if names else "no result"
    told = [one["ran"]["seconds"] for one in found if "ran" in one]
    if told:
        return words(max(told))
    most = max(held(one) for one in found)
    return f"over {words(most)}" if most else "not recorded"


def held(found: Any) -> float:
    """The sum of the seconds in a result: of trainings, so that the whole call took longer."""
    if isinstance(found, list):
        return sum(map(held, found))
    if not isinstance(found, dict):
        return 0.0
    mine = found.get("seconds")
    if isinstance(mine, (int, float)):
        return float(mine)
    listed = sum(mine) if isinstance(mine, list) and all(isinstance(one, (int, float)) for one in mine) else 0.0
    return listed + sum(map(held, found.values()))


def words(seconds: float) -> str:
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"
