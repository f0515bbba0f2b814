"""Numbers written as text, and the order that a person expects of names with numbers in them."""

from __future__ import annotations

import math
import re

# Stricter than float(): no "nan", no "1_000", no letters of other scripts.
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_DIGITS = re.compile(r"(\d+)", re.ASCII)


def number(text: str) -> float | None:
    """The finite number that `text` writes, or None."""
    stripped = text.strip()
    if not _NUMBER.fullmatch(stripped):
        return None
    value = float(stripped)
    return value if math.isfinite(value) else None


def natural(names: list[str]) -> list[str]:
    """Sorted: by value where all are numbers, else with runs of digits compared as numbers (`a2` before `a10`)."""
    values = {name: number(name) for name in names}
    if all(value is not None for value in values.values()):
        return sorted(names, key=lambda name: (values[name], name))
    return sorted(names, key=_pieces)


def _pieces(name: str) -> tuple[list[tuple[int, int, str]], str]:
    pieces = [(0, int(p), "") if p.isdigit() and p.isascii() else (1, 0, p) for p in _DIGITS.split(name) if p]
    return pieces, name
