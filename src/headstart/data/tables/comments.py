"""Lines that begin with # above a table: comments, its header (`# of stars,text`), or its first rows (`#MeToo …`)."""

from __future__ import annotations

from collections.abc import Sequence

from headstart.data.tables.column_names import KNOWN
from headstart.data.tables.delimiters import TRIED, best
from headstart.data.tables.numbers import number
from headstart.data.tables.quoted import Dialect, Quoted

_SENTENCE = 4
"words of a cell that is no name"


def comments_above(lines: Sequence[str], own: str) -> int:
    """Number of comment lines above the header or the first row.

    A line as wide as the rows is one of them if it holds values as they do, and directly above them their header.
    """
    count = next((at for at, line in enumerate(lines) if not line.startswith("#")), 0)
    if not count or not any(line.strip() for line in lines[count:]):
        return 0
    dialect, below = best(lines[count:], own, None)
    rows = [row.cells for row in list(Quoted(lines[count : count + TRIED], dialect)) if len(row.cells) == len(below)]
    if not rows or _is_header(below, rows[1:]):
        return count
    while count:
        line = lines[count - 1].rstrip("\r\n")
        cells = Quoted([], dialect).loose(line)
        if len(cells) != len(below):
            break
        if not _is_row(line, cells, rows):
            return count - _names_columns(line, cells, dialect, rows)
        rows.insert(0, cells)
        count -= 1
    return count


def _is_header(cells: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """True if a cell has a common name that is no value below it, and none is a number."""
    names = [cell.strip().lower() for cell in cells]
    usual = any(name in KNOWN and all(row[at].strip().lower() != name for row in rows) for at, name in enumerate(names))
    return usual and all(number(name) is None for name in names)


def _is_row(line: str, cells: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """True if a cell is a value that comes again below, or a number over numbers; or for a sentence after a hashtag."""
    for at, cell in enumerate(cells):
        values = [row[at].strip() for row in rows]
        if cell.strip() and (cell.strip() in values or (number(cell) is not None and _are_numbers(values))):
            return True
    return line[1:2].isalnum() and any(len(cell.split()) >= _SENTENCE for cell in cells)


def _names_columns(line: str, cells: Sequence[str], dialect: Dialect, rows: Sequence[Sequence[str]]) -> bool:
    """True if the cells are names: `#id,text`, `#,text`, and also after a blank if the rows below show that."""
    if any(not cell.strip() or number(cell) is not None for cell in cells):
        return False
    if line[1:2].isalnum() or line.startswith(f"#{dialect.delimiter}"):
        return True
    values = list(zip(*rows))
    shown = any(_are_numbers(found) or len({*found}) < len(found) / 2 for found in values)
    return len(cells) > 1 and (shown or any(cell.lstrip("# ").strip().lower() in KNOWN for cell in cells))


def _are_numbers(values: Sequence[str]) -> bool:
    return all(number(value) is not None for value in values)
