"""CSV rows (RFC 4180); repairs open and undoubled quotes, with findings.

Not pyarrow's CSV reader, because it gives no line numbers, and after a lone quote it swallows rows silently.
"""

from __future__ import annotations

import csv
import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from headstart.data.tables.numbers import number

LARGEST_CELL = 256_000_000
LONGEST_ROW = 1_000_000
"maximum length of a cell over several lines, in characters; a longer one has an open quote"
CLOSED = 200
"maximum number of remembered distinct values of a column"
_AROUND = ' \t"'
"signs around a value that are ignored in comparisons"


@dataclass(frozen=True)
class Dialect:
    """delimiter: empty for one column. spaced: a blank follows each delimiter. backslash: escapes quotes."""

    delimiter: str = ","
    spaced: bool = False
    backslash: bool = False

    def strict(self, lines: Iterable[str]) -> Iterator[list[str]]:
        """A reader that raises `csv.Error` unless a delimiter or the end follows a closing quote."""
        return csv.reader(
            lines,
            delimiter=self.delimiter or "\x1f",
            skipinitialspace=self.spaced,
            escapechar="\\" if self.backslash else None,
            strict=True,
        )

    def plain(self, line: str) -> list[str]:
        """Cells between delimiters; quotes are ordinary signs."""
        if self.backslash:
            return next(csv.reader([line], delimiter=self.delimiter or "\x1f", escapechar="\\", quoting=csv.QUOTE_NONE))
        cells = line.split(self.delimiter) if self.delimiter else [line]
        return [cells[0], *(cell.lstrip(" ") for cell in cells[1:])] if self.spaced else cells

    def filled(self, lines: Iterable[str]) -> Iterator[str]:
        r"""The lines with empty cells for `\N`, as MySQL and PostgreSQL write a missing value."""
        sign = re.escape(self.delimiter)
        null = re.compile(rf"(^|{sign} ?)\\N(?=\r?\n?$|{sign})")
        for line in lines:
            yield null.sub(r"\1", line) if sign and "\\N" in line else line


@dataclass(frozen=True)
class Row:
    """line: first line. span: number of lines. mended: True if a quote was read as an ordinary sign.

    doubtful: True if each of its lines alone is as wide as the header, so that they could be rows.
    """

    line: int
    cells: list[str]
    span: int = 1
    mended: bool = False
    doubtful: bool = False


class Habits:
    """Typical values per column, numbers or a few repeated ones; they distinguish a row from a line of a text."""

    def __init__(self, rows: Sequence[Sequence[str]], width: int) -> None:
        self._numbers: set[int] = set()
        self._values: dict[int, set[str]] = {}
        for at in range(width):
            values = [row[at].strip(_AROUND) for row in rows]
            found = set(values)
            if values and all(number(value) is not None for value in values):
                self._numbers.add(at)
            elif 0 < len(found) <= min(CLOSED, max(2, len(values) // 3), len(values) - 1):  # some values repeat
                self._values[at] = found

    def __bool__(self) -> bool:
        return bool(self._numbers or self._values)

    def fit(self, cells: Sequence[str]) -> bool:
        return all(number(cells[at].strip(_AROUND)) is not None for at in self._numbers) and all(
            cells[at].strip(_AROUND) in values for at, values in self._values.items()
        )


class Quoted:
    """Parses lines into rows.

    width: number of cells of the header, 0 if unknown. A quoted cell may span lines. Its opening quote is an ordinary
    sign if no quote closes it (before a delimiter or a line end), or if the spanned lines are rows: as wide as the
    header, with typical values of its columns.
    """

    def __init__(self, lines: Iterable[str], dialect: Dialect, width: int = 0, habits: Habits | None = None) -> None:
        csv.field_size_limit(LARGEST_CELL)
        self._lines, self._back = dialect.filled(lines), deque[str]()
        self.dialect, self.width, self.habits = dialect, width, habits

    def __iter__(self) -> Iterator[Row]:
        at = 1
        while (line := self._next()) is not None:
            bare = _bare(line)
            cells = (
                self.width > 1 and self.dialect.delimiter in bare
            )  # cells of a row, even of empty ones separated by tabs
            if not bare or (self.width != 1 and not bare.strip() and not cells):
                at += 1
                continue
            row = self._row(at, line, bare)
            at += row.span
            yield row

    def _next(self) -> str | None:
        return self._back.popleft() if self._back else next(self._lines, None)

    def _row(self, at: int, line: str, bare: str) -> Row:
        if '"' not in bare:
            return Row(at, self.dialect.plain(bare))
        taken: list[str] = []
        try:
            cells = next(iter(self.dialect.strict(self._taking(line, taken))))
        except csv.Error:
            cells = None
        if cells is not None:
            if len(taken) == 1:
                return Row(at, cells)
            alone = [self.loose(_bare(each)) for each in taken]
            rows = [len(each) == self.width for each in alone]
            mistaken = self.width and len(cells) != self.width and rows[0]
            if not mistaken and not self._are_rows(alone):
                return Row(at, cells, len(taken), doubtful=not self.habits and self.width > 0 and all(rows))
        self._back.extendleft(reversed(taken[1:]))
        return Row(at, self.loose(bare), mended=True)

    def _taking(self, line: str, taken: list[str]) -> Iterator[str]:
        """Yields the line and the following ones, lazily."""
        size = 0
        following: str | None = line
        while following is not None and (not taken or size <= LONGEST_ROW):
            taken.append(following)
            size += len(following)
            yield following
            following = self._next()
        if following is not None:
            self._back.appendleft(following)

    def _are_rows(self, alone: Sequence[Sequence[str]]) -> bool:
        """True if the lines of a quoted cell are rows: at least two of them, and half of them, look like rows."""
        if not self.habits:
            return False
        hits = sum(len(cells) == self.width and self.habits.fit(cells) for cells in alone)
        return hits >= 2 and 2 * hits >= len(alone)

    def loose(self, bare: str) -> list[str]:
        """Cells of a line with irregular quotes: the parse that is as wide as the header."""
        for cells in (self._if_strict(bare), self._undoubled(bare)):
            if cells is not None and (len(cells) == self.width or not self.width):
                return cells
        return self.dialect.plain(bare)

    def _if_strict(self, bare: str) -> list[str] | None:
        try:
            return next(iter(self.dialect.strict([bare])), None)
        except csv.Error:
            return None

    def _undoubled(self, bare: str) -> list[str] | None:
        """Cells of a line with undoubled inner quotes: only a quote before a delimiter closes."""
        delimiter, at = self.dialect.delimiter, 0
        cells: list[str] = []
        while True:
            while self.dialect.spaced and cells and bare[at : at + 1] == " ":
                at += 1
            if bare[at : at + 1] == '"':
                end = at + 1
                while True:
                    end = bare.find('"', end)
                    if end < 0:
                        return None
                    after = len(bare[end:]) - len(bare[end:].lstrip('"'))  # a run of quotes
                    end += after
                    if end == len(bare) or (delimiter and bare.startswith(delimiter, end)):
                        break
                cells.append(bare[at + 1 : end - 1].replace('""', '"'))
            else:
                found = bare.find(delimiter, at) if delimiter else -1
                end = len(bare) if found < 0 else found
                cells.append(bare[at:end])
            if end >= len(bare):
                return cells
            at = end + len(delimiter)


def _bare(line: str) -> str:
    """The line without its end."""
    return line[:-2] if line.endswith("\r\n") else line[:-1] if line.endswith(("\n", "\r")) else line
