"""Results as JSON: the record in benchmarks/results, or another folder that HEADSTART_RESULTS names, as tries do."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

BENCHMARKS = Path(__file__).parents[1]
RECORD = BENCHMARKS / "results"
TRIES = Path("runs/bench-quick")
"where --quick puts results and run folders"
PLACES = {"methods": BENCHMARKS.parent / "src" / "headstart" / "report" / "measured" / "methods.json"}
"results that are part of the package"

Note = Annotated[str, "about the machine, for the record"]
Results = Iterator[tuple[str, dict[str, Any]]]
"what a case yields each time that something can be kept: the name of a result, and all of it so far"


def path_of(name: str) -> Path:
    if elsewhere := os.environ.get("HEADSTART_RESULTS"):
        return Path(elsewhere) / f"{name}.json"
    return PLACES.get(name, RECORD / f"{name}.json")


def read(name: str) -> dict[str, Any] | None:
    """What an earlier call has left."""
    path = path_of(name)
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def write(name: str, found: dict[str, Any]) -> None:
    from headstart.core.disk.files import write_json

    path_of(name).parent.mkdir(parents=True, exist_ok=True)
    write_json(path_of(name), found)


def replaced(name: str, schema: str, part: dict[str, Any], key: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    """A result of parts, in which this one takes the place of those with the same key."""
    whole = read(name) or {"schema": schema, "status": "ok", "parts": []}
    return whole | {"parts": [*(other for other in whole["parts"] if key(other) != key(part)), part]}


def machine(precision: str, device: str = "cpu") -> dict[str, Any]:
    """Versions, processor and time, for the record."""
    from headstart.core.environment import environment

    return environment(device, precision).to_json()
