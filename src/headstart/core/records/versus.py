"""Record of the comparison of two runs."""

from __future__ import annotations

from dataclasses import dataclass

from headstart.core.records.comparison import Comparison
from headstart.core.records.record import Record

SCHEMA = "headstart.versus/1"


@dataclass(frozen=True)
class Pair(Record):
    """One method in both runs: the second value minus the first."""

    method: str
    first: float | None
    second: float | None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    p_value: float | None = None
    "difference paired by example, if both runs have the same test examples"


@dataclass(frozen=True)
class Versus(Record):
    first: str
    "folder of the run"
    second: str
    runs: tuple[Comparison, Comparison]
    pairs: tuple[Pair, ...]
    paired: bool
    "True if both have the same test examples"
    schema: str = SCHEMA
