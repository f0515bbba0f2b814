"""Lines of a title above the header of a table, as reports and spreadsheets have them."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence

from headstart.data.tables.column_names import KNOWN
from headstart.data.tables.delimiters import TRIED, best
from headstart.data.tables.numbers import number
from headstart.data.tables.quoted import Quoted

TITLES = 20
"maximum number of lines above a header"
ALIKE = 0.9
"minimum share of rows as wide as the header below a title"


def titles_above(lines: Sequence[str], own: str) -> int:
    """Number of lines of a title: before an empty line and as short, or of fewer cells than the header below them."""
    head = [line.rstrip("\r\n") for line in lines[:TITLES]]
    blank = next((at for at, line in enumerate(head) if not line.strip()), 0)
    begins = next((at for at in range(blank, len(head)) if head[at].strip()), 0)
    if blank and begins and not any(line.count('"') % 2 for line in head[:blank]):
        dialect, header = best(lines[begins:], own, None)
        rows = list(itertools.islice(Quoted(lines[begins:], dialect), TRIED))
        alike = sum(len(row.cells) == len(header) for row in rows)
        if len(header) > 1 and len(rows) > 3 and alike > ALIKE * len(rows):
            return begins if all(len(dialect.plain(line)) < len(header) for line in head[:blank]) else 0
    return _padded(lines, own) or _unpadded(lines, own)


def _padded(lines: Sequence[str], own: str) -> int:
    """Lines of one cell and empty ones, above the first full row."""
    rest = lines[:TRIED]
    rows = list(Quoted(rest, best(rest, own, None)[0])) if any(map(str.strip, rest)) else []
    if not rows or len(rows[0].cells) < 3 or not rows[0].cells[0] or any(rows[0].cells[1:]):
        return 0
    full = [all(row.cells) and len(row.cells) == len(rows[0].cells) for row in rows]
    at = full.index(True) if any(full) else 0
    return rows[at].line - 1 if 0 < at < TITLES and sum(full) > len(rows) / 2 else 0


def _unpadded(lines: Sequence[str], own: str) -> int:
    """Lines of fewer filled cells than the header below them, which has a common name or follows a phrase."""
    for at in range(1, min(TITLES, len(lines) - 1)):
        if lines[at - 1].count('"') % 2 or not any(map(str.strip, lines[at:])):
            return 0  # a quoted name goes on in the next line; or nothing follows
        dialect, header = best(lines[at:], own, None)
        above = [[cell.strip() for cell in dialect.plain(line.rstrip("\r\n"))] for line in lines[:at]]
        if len(header) < 2:
            continue
        if not all(cells[0] and sum(map(bool, cells)) < len(header) for cells in above):
            return 0  # the first line is the header
        common = sum(cell.strip().lower() in KNOWN for cell in header)
        if common < 2 and any(cell.lower() in KNOWN for cells in above for cell in cells):
            return 0
        rows = list(itertools.islice(Quoted(lines[at:], dialect), 1, TRIED))
        alike = [row.cells for row in rows if len(row.cells) == len(header)]
        phrase = any(" " in cell for cell in above[0])
        enough = len(alike) > ALIKE * len(rows) and len(rows) > (0 if common else 3)
        if enough and (common or (phrase and _are_short(header, alike))) and _are_names(header, alike):
            return at
    return 0


def _are_names(header: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """True if the cells are names: none is empty, a number, or repeated."""
    names = [cell.strip() for cell in header]
    again = any(Counter(row[at].strip() for row in rows)[name] > 1 for at, name in enumerate(names))
    return len({*names}) == len(names) and all(names) and not again and all(number(name) is None for name in names)


def _are_short(header: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """True if a name is far shorter than its values."""
    return any(sum(len(row[at]) for row in rows) > 2 * len(name) * len(rows) for at, name in enumerate(header))
