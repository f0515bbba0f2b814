"""The record of two runs side by side."""

from __future__ import annotations

from dataclasses import dataclass

from headstart.core.records.comparison import Comparison
from headstart.core.records.record import Record

SCHEMA = "headstart.versus/1"


@dataclass(frozen=True)
class Pair(Record):
    """One method in both runs: the second's value less the first's."""

    method: str
    first: float | None
    second: float | None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    p_value: float | None = None
    "paired by example, where both runs answered the same test examples"


@dataclass(frozen=True)
class Versus(Record):
    first: str
    "its folder"
    second: str
    runs: tuple[Comparison, Comparison]
    pairs: tuple[Pair, ...]
    paired: bool
    "whether the test examples are the same"
    schema: str = SCHEMA
