"""Detects the delimiter of a table, by trying each on the first rows."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

from headstart.data.tables.quoted import Dialect, Quoted, Row

DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
TRIED = 200
"number of rows for trying a delimiter"
Fit = tuple[float, float, float]
"score of a delimiter: share of rows as wide as the header, minus repaired ones, minus those with blanks after it"


def best(lines: Sequence[str], own: str, named: str | None) -> tuple[Dialect, list[str]]:
    """The dialect by which most rows are as wide as the header, and the header.

    own: delimiter of the file's suffix, which wins ties. named: the one that the file names.
    """
    signs = named or "".join(dict.fromkeys((own, *DELIMITERS)))
    backslash = (False, True) if any("\\" in line for line in lines[:TRIED]) else (False,)
    most: Fit = (-1.0, 0.0, 0.0)
    chosen = Dialect(""), next(iter(Quoted(lines, Dialect("")))).cells
    for dialect in (Dialect(sign, False, escaped) for sign in signs for escaped in backslash):
        found = _tried(lines, dialect)
        if found is not None and found[0] > most:
            most, chosen = found[0], found[1:]
    return chosen


def _tried(lines: Sequence[str], dialect: Dialect) -> tuple[Fit, Dialect, list[str]] | None:
    header = next(iter(Quoted(lines, dialect))).cells
    if len(header) < 2:
        return None
    rows, right = _body(lines, dialect, len(header))
    blank = sum(all(cell.startswith(" ") for cell in row.cells[1:]) for row in right)
    headed = all(cell.startswith(" ") for cell in header[1:])  # matters if each row has a delimiter in quotes
    if blank > 0.95 * len(right) or (headed and not right):  # again, because quotes after a blank now count
        dialect = replace(dialect, spaced=True)
        header = [cell.lstrip(" ") for cell in header]
        rows, right = _body(lines, dialect, len(header))
    if not rows:
        return (0.5, 0.0, 0.0), dialect, header
    mended = sum(row.mended for row in rows)
    return (len(right) / len(rows), -mended / len(rows), -blank / len(rows)), dialect, header


def _body(lines: Sequence[str], dialect: Dialect, width: int) -> tuple[list[Row], list[Row]]:
    """The first rows below the header, and those as wide as it."""
    rows = list(itertools.islice(Quoted(lines, dialect, width), 1, TRIED))
    return rows, [row for row in rows if len(row.cells) == width]
