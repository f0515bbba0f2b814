"""CSV dialect detection from the first lines: delimiter, header, lines above it, kinds of columns."""

from __future__ import annotations

import csv
import itertools
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from headstart.data.tables.column_names import KNOWN, bare
from headstart.data.tables.comments import comments_above
from headstart.data.tables.delimiters import TRIED, best
from headstart.data.tables.numbers import number
from headstart.data.tables.quoted import Dialect, Habits, Quoted
from headstart.data.tables.titles import titles_above

LOOKED_AT = 2_000
"number of lines for the detection"
FEWEST = 20
"minimum number of rows that show a column's values"
_OPTIONS = {"Open-Ended Response", "Response"}
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
    options: bool = False
    "True if the line below the header holds the options of the questions, as SurveyMonkey writes them"
    comments: int = 0
    "how many of the skipped lines are comments (#)"

    @property
    def width(self) -> int:
        return len(self.header)


def find(lines: Sequence[str], own: str) -> Layout | None:
    """The layout by which most rows are as wide as the header; None for no lines.

    own: delimiter of the file's suffix, which wins ties. Excel's line `sep=;` decides, unless no cell ends there.
    """
    named = _SEP.fullmatch(lines[0]) if lines else None
    skipped = 1 if named else comments_above(lines, own)
    comments = 0 if named else skipped
    titles = 0 if skipped else titles_above(lines, own)
    skipped += titles
    rest = lines[skipped:]
    if not any(line.strip() for line in rest):
        return None
    dialect, header = best(rest, own, named[1] if named else None)
    if named and len(header) < 2:  # the line says another delimiter than the table has
        dialect, header = best(rest, own, None)
    rows = _alone(rest, dialect, (len(header), len(header) + 1))
    longer = [row for row in rows if len(row) == len(header) + 1]
    row_names = len(header) > 1 and len(longer) > 2 and len(longer) > 0.9 * (len(rows) - 1) and _are_names(longer)
    if row_names:
        header, rows = ["", *header], longer
    rows = [row for row in rows if len(row) == len(header)]
    options = len(rows) > 1 and not rows[1][0] and not _OPTIONS.isdisjoint(rows[1])
    header = _with_options(header, rows[1]) if options else header
    headless = not row_names and not options and _is_a_row(header, rows[1:])
    names = [f"column {at}" for at in range(1, len(header) + 1)] if headless else _named(header)
    habits = _habits(rest, dialect, rows[options:], len(names), not headless)
    return Layout(dialect, names, skipped, headless, habits, row_names, titles, options, comments)


def _with_options(header: Sequence[str], options: Sequence[str]) -> list[str]:
    """The questions; one with several columns is written above the first alone, and each has an option below it."""
    names, question = list[str](), ""
    for name, option in zip(header, options):
        question = name.strip() or question
        names.append(name if name.strip() or not option else f"{question}: {option}")
    return names


def _named(header: Sequence[str]) -> list[str]:
    """The names of the header; a column without one is called by its place."""
    names = [cell.strip() for cell in header]
    for at, name in enumerate(names):
        if not name:
            new = f"unnamed {at + 1}"
            while new in names:
                new += " again"
            names[at] = new
    return names


def _habits(
    lines: Sequence[str], dialect: Dialect, alone: Sequence[Sequence[str]], width: int, has_header: bool
) -> Habits:
    """Kinds of the columns by rows on one line; by lines that could be rows if quotes leave few of those."""
    read = [row for row in itertools.islice(Quoted(lines, dialect, width), has_header, None) if row.span == 1]
    rows = [row.cells for row in read if len(row.cells) == width and not row.mended]
    return Habits(rows if len(rows) >= max(5, len(alone) // 10) else alone[has_header:], width)


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

    A single column with a common name, or a name far shorter than its texts, has a header; a sentence is a name if it
    is a question, or if another column shows that the line is none of its rows.
    """
    if not rows or any(bare(name.strip()).lower() in KNOWN for name in header):
        return False
    is_row = is_sentence = is_name = False
    for at, name in enumerate(cell.strip() for cell in header):
        values = [row[at].strip() for row in rows[:TRIED]]
        length = sum(map(len, values)) / len(values)
        if number(name) is not None:
            is_row |= all(number(value) is not None for value in values)
        elif Counter(values)[name] >= 2:
            is_row = True
        elif (len(header) > 1 and _asks(name, values)) or _is_apart(name, values):
            is_name = True
        elif len(name.split()) >= 4:
            is_sentence = True
        elif name and length > max(20, 3 * len(name)):
            return False
    return is_row or (is_sentence and not is_name)


def _asks(name: str, values: Sequence[str]) -> bool:
    """True for a question above answers, as surveys have it."""
    return name.endswith("?") and sum(value.endswith("?") for value in values) < len(values) / 4


def _is_apart(name: str, values: Sequence[str]) -> bool:
    """True if the values are a few that repeat, and the name is none of them."""
    counts = Counter(values)
    return bool(name) and len(values) >= FEWEST and len(counts) <= len(values) / 5 and name not in counts
