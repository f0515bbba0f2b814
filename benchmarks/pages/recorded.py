"""Reads the record for the pages, and says where figures are from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.lib.results import RECORD

DOCS = Path(__file__).parents[2] / "docs"


def read(name: str) -> dict[str, Any] | None:
    path = RECORD / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def small(name: str, note: str, environment: dict[str, Any], threads: int | None = None) -> list[str]:
    """Where the figures are from."""
    versions = ", ".join(f"{library} {version}" for library, version in environment["libraries"].items())
    used = f", {threads} threads" if threads else ""
    told = f"{environment['processor']}, {environment['cores']} cores{used}, {environment['started']}; {versions}"
    return ["", f"<sub>`benchmarks/results/{name}.json`; {told}. {note}</sub>", ""]
