"""Images that a table writes as numbers: in one cell (FER-2013), or in a column for each pixel (MNIST as CSV)."""

from __future__ import annotations

from collections.abc import Sequence

from headstart.core.errors import DataError
from headstart.data.audit.findings import Findings
from headstart.data.tables.numbers import number
from headstart.data.tables.table import Column

MANY = 16
"numbers in a cell, or columns of numbers, from which they are no text"
_ADVICE = "If they are pixels, save each row as a PNG, and write a table of the paths and labels"


def refuse_pixels(column: Column, source: str) -> None:
    """Raises `DataError` for a column whose texts are mostly long rows of numbers."""
    texts = [value for value in column.values if isinstance(value, str) and value.strip()]
    if sum(map(_are_numbers, texts)) > len(texts) / 2:
        raise DataError(
            f"{source}: the texts in {column.name!r} are rows of numbers ({texts[0][:20]} …), which are not read: "
            f"texts and images are. {_ADVICE}."
        )


def _are_numbers(text: str) -> bool:
    parts = text.replace(",", " ").strip("[]() ").split()
    return len(parts) >= MANY and all(number(part) is not None for part in parts)


def note_numbers(column: Column, findings: Findings) -> None:
    """A finding on an input column of single numbers."""
    if column.kind == "number":
        message = (
            f"the texts in {column.name!r} are numbers, which are read as texts, sign by sign: a model of texts learns "
            "little from them"
        )
        findings.add("numbers", "warning", message, count=1)


def columns_of_numbers(columns: Sequence[Column]) -> str:
    """What a table of columns of numbers is, and what to do; empty for others."""
    found = [column.name for column in columns if column.kind == "number"]
    if len(found) < MANY:
        return ""
    return (
        f"it has {len(found):,} columns of numbers ({found[0]} … {found[-1]}), which are not read: texts and "
        f"images are. {_ADVICE}."
    )
