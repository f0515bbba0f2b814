"""CSV dialect detection from the first lines: delimiter, header, lines above it, kinds of columns."""

from __future__ import annotations

import csv
import itertools
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from headstart.data.tables.column_names import KNOWN
from headstart.data.tables.numbers import number
from headstart.data.tables.quoted import Dialect, Habits, Quoted, Row

LOOKED_AT = 2_000
"number of lines for the detection"
TITLES = 20
"maximum number of lines above a header"
DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_TRIED = 200
"number of rows for trying a delimiter"
_SEP = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)


@dataclass(frozen=True)
class Layout:
    """skipped: lines above the header. header: names of the columns. headless: True if the first line is a row."""

    dialect: Dialect
    header: list[str]
    skipped: int = 0
    headless: bool = False
    habits: Habits | None = None
    row_names: bool = False
    "True if each row starts with a name without a header cell, as R writes it"
    titles: int = 0
    "how many of the skipped lines are a title"

    @property
    def width(self) -> int:
        return len(self.header)


def find(lines: Sequence[str], own: str) -> Layout | None:
    """The layout by which most rows are as wide as the header; None for no lines.

    own: delimiter of the file's suffix, which wins ties. Excel's line `sep=;` decides.
    """
    named = _SEP.fullmatch(lines[0]) if lines else None
    skipped = 1 if named else _comments(lines, own)
    titles = 0 if skipped else _titles(lines, own)
    skipped += titles
    rest = lines[skipped:]
    if not any(line.strip() for line in rest):
        return None
    dialect, header = _best(rest, own, named[1] if named else None)
    rows = _alone(rest, dialect, (len(header), len(header) + 1))
    longer = [row for row in rows if len(row) == len(header) + 1]
    row_names = len(header) > 1 and len(longer) > 2 and len(longer) > 0.9 * (len(rows) - 1) and _are_names(longer)
    if row_names:
        header, rows = ["", *header], longer
    rows = [row for row in rows if len(row) == len(header)]
    headless = not row_names and _is_a_row(header, rows[1:])
    given = (
        cell.strip().removeprefix("#") or cell.strip() or f"unnamed {at}" for at, cell in enumerate(header, start=1)
    )
    names = [f"column {at}" for at in range(1, len(header) + 1)] if headless else list(given)
    return Layout(
        dialect, names, skipped, headless, _habits(rest, dialect, rows, len(names), not headless), row_names, titles
    )


def _habits(
    lines: Sequence[str], dialect: Dialect, alone: Sequence[Sequence[str]], width: int, has_header: bool
) -> Habits:
    """Kinds of the columns by rows on one line; by lines that could be rows if quotes leave few of those."""
    read = [row for row in itertools.islice(Quoted(lines, dialect, width), has_header, None) if row.span == 1]
    rows = [row.cells for row in read if len(row.cells) == width and not row.mended]
    return Habits(rows if len(rows) >= max(5, len(alone) // 10) else alone[has_header:], width)


def _comments(lines: Sequence[str], own: str) -> int:
    """Number of comment lines (#) above the header. A last one as wide as the rows, `#id,text`, is the header."""
    count = next((at for at, line in enumerate(lines) if not line.startswith("#")), 0)
    if not count or not any(line.strip() for line in lines[count:]):
        return 0
    dialect, header = _best(lines[count:], own, None)
    last = lines[count - 1].rstrip("\r\n")
    # `#,text,label` has a column called #
    is_header = last[1:2].isalnum() or last.startswith(f"#{dialect.delimiter}")
    return count - (is_header and len(Quoted([], dialect).loose(last)) == len(header))


def _titles(lines: Sequence[str], own: str) -> int:
    """Number of lines of a title above the header: before an empty line and as short, or of one cell and empty ones."""
    head = [line.rstrip("\r\n") for line in lines[:TITLES]]
    blank = next((at for at, line in enumerate(head) if not line.strip()), 0)
    begins = next((at for at in range(blank, len(head)) if head[at].strip()), 0)
    if blank and begins and not any(line.count('"') % 2 for line in head[:blank]):
        dialect, header = _best(lines[begins:], own, None)
        rows = list(itertools.islice(Quoted(lines[begins:], dialect), _TRIED))
        alike = sum(len(row.cells) == len(header) for row in rows)
        if len(header) > 1 and len(rows) > 3 and alike > 0.9 * len(rows):
            return begins if all(len(dialect.plain(line)) < len(header) for line in head[:blank]) else 0
    rest = lines[:_TRIED]
    rows = list(Quoted(rest, _best(rest, own, None)[0])) if any(map(str.strip, rest)) else []
    if not rows or len(rows[0].cells) < 3 or not rows[0].cells[0] or any(rows[0].cells[1:]):
        return 0
    full = [all(row.cells) and len(row.cells) == len(rows[0].cells) for row in rows]
    at = full.index(True) if any(full) else 0
    return rows[at].line - 1 if 0 < at < TITLES and sum(full) > len(rows) / 2 else 0


def _best(lines: Sequence[str], own: str, named: str | None) -> tuple[Dialect, list[str]]:
    signs = named or "".join(dict.fromkeys((own, *DELIMITERS)))
    backslash = (False, True) if any("\\" in line for line in lines[:_TRIED]) else (False,)
    best: Fit = (-1.0, 0.0, 0.0)
    chosen = Dialect(""), next(iter(Quoted(lines, Dialect("")))).cells
    for dialect in (Dialect(sign, False, escaped) for sign in signs for escaped in backslash):
        found = _tried(lines, dialect)
        if found is not None and found[0] > best:
            best, chosen = found[0], found[1:]
    return chosen


Fit = tuple[float, float, float]
"score of a delimiter: share of rows as wide as the header, minus repaired ones, minus those with blanks after it"


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
    rows = list(itertools.islice(Quoted(lines, dialect, width), 1, _TRIED))
    return rows, [row for row in rows if len(row.cells) == width]


def _alone(lines: Sequence[str], dialect: Dialect, widths: Sequence[int]) -> list[list[str]]:
    """Lines that alone are rows of one of these widths."""
    found = []
    for line in lines:
        try:
            cells = next(dialect.strict([line]), []) if '"' in line else dialect.plain(line.rstrip("\r\n"))
        except csv.Error:
            continue
        if len(cells) in widths:
            found.append(cells)
    return found


def _are_names(rows: Sequence[Sequence[str]]) -> bool:
    firsts = [row[0] for row in rows]
    return (
        any(row[-1] for row in rows)
        and len(set(firsts)) == len(firsts)
        and not any(" " in first.strip() for first in firsts)
    )


def _is_a_row(header: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """True if the first line holds values instead of names: a number over numbers, a repeated value, a sentence.

    A single column with a common name, or a name far shorter than its texts, has a header.
    """
    if not rows or any(name.strip().lower() in KNOWN for name in header):
        return False
    found = False
    for at, name in enumerate(cell.strip() for cell in header):
        values = [row[at].strip() for row in rows[:_TRIED]]
        length = sum(map(len, values)) / len(values)
        if number(name) is not None:
            found |= all(number(value) is not None for value in values)
        elif Counter(values)[name] >= 2 or len(name.split()) >= 4:
            found = True
        elif name and length > max(20, 3 * len(name)):
            return False
    return found
