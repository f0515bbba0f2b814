"""CSV and TSV files, row by row, with the line on which each row begins."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from headstart.core.errors import DataError
from headstart.data.findings import Findings
from headstart.data.lines import lines
from headstart.data.table import SAMPLE, Chunk, Chunker, Column, Problem, mostly_bad

LARGEST_CELL = 256_000_000
"characters; beyond it a quote is surely left open"
WIDTH = "with more or fewer cells than the header"
_LOOKED_AT = 2_000
"lines of a TSV file looked at to tell whether quotes mean anything in it"


class Delimited:
    """A table with a header line. The delimiter follows the extension; a CSV whose header has one column with
    commas is tried with semicolons and tabs, as spreadsheets of many countries write them."""

    def __init__(self, path: Path) -> None:
        self.path, self.name = path, path.name
        self._plain = False
        self.delimiter = self._find_delimiter()
        self.header = self._read_header()

    def _find_delimiter(self) -> str:
        if {".tsv", ".tab"} & {suffix.lower() for suffix in self.path.suffixes}:
            head = [line.rstrip("\r\n") for line in itertools.islice(lines(self.path, Findings()), _LOOKED_AT)]
            # Where every line has as many tabs as the header, no cell spans lines and quotes are ordinary signs,
            # as in GLUE's files; reading them as quotes would swallow rows.
            self._plain = bool(head) and all(line.count("\t") == head[0].count("\t") for line in head if line)
            return "\t"
        first = next(iter(lines(self.path, Findings())), "")
        if len(next(csv.reader([first]), [])) <= 1:
            return next((sign for sign in ";\t" if sign in first), ",")
        return ","

    def _read_header(self) -> list[str]:
        first = next(self._rows(Findings()), None)
        if first is None:
            raise DataError(f"{self.path} is empty. It needs a header line with the columns' names and rows below it.")
        header = [cell.strip() or f"column {place}" for place, cell in enumerate(first[1], start=1)]
        double = sorted({name for name in header if header.count(name) > 1})
        if double:
            raise DataError(f"{self.path}: the header names {', '.join(double)} twice. Give each column its own name.")
        return header

    def _rows(self, findings: Findings) -> Iterator[tuple[int, list[str]]]:
        """(line on which the row begins, cells), header included; empty lines are passed over."""
        csv.field_size_limit(LARGEST_CELL)
        quoting: Literal[0, 3] = csv.QUOTE_NONE if self._plain else csv.QUOTE_MINIMAL
        reader = csv.reader(lines(self.path, findings), delimiter=self.delimiter, quoting=quoting)
        before = 0
        try:
            for cells in reader:
                first, before = before + 1, reader.line_num
                if any(cells):
                    yield first, [_unquoted(cell) for cell in cells] if self._plain else cells
        except csv.Error as error:
            raise DataError(
                f"{self.name}:{before + 1}: {error}. Look for a quote left open at that line; a quote inside a "
                'quoted cell is written twice ("").'
            ) from error

    def _records(self, findings: Findings) -> Iterator[tuple[int, list[str] | Problem]]:
        """Rows that have as many cells as the header, and the problem of each of the others."""
        width, good, bad, wrong = len(self.header), 0, 0, Findings()
        for line, cells in itertools.islice(self._rows(findings), 1, None):
            if len(cells) > width and not any(cells[width:]):
                cells = cells[:width]
            if len(cells) == width:
                good += 1
                yield line, cells
                continue
            bad += 1
            wrong.add("malformed", "error", "", [f"{self.name}:{line}"])
            spans = sum(cell.count("\n") for cell in cells)
            detail = f"it runs over {spans:,} line ends: is a quote left open?" if spans > 20 else ""
            yield line, Problem("malformed", WIDTH, "quote cells that hold the delimiter", detail)
        mostly_bad(self.name, good, bad, f"do not have the header's {width} cells", wrong.places("malformed"))

    def sample(self) -> list[Column]:
        records = (cells for _, cells in self._records(Findings()) if not isinstance(cells, Problem))
        found = list(itertools.islice(records, SAMPLE))
        if not found:
            raise DataError(f"{self.path} has a header but no rows. Add rows below {', '.join(self.header)}.")
        return [Column(name, tuple(cells[at] for cells in found)) for at, name in enumerate(self.header)]

    def chunks(self, columns: Sequence[str], findings: Findings) -> Iterator[Chunk]:
        where = [self.header.index(name) for name in columns]
        chunker = Chunker(columns)
        for line, cells in self._records(findings):
            row = cells if isinstance(cells, Problem) else [cells[at] for at in where]
            if chunker.add(f"{self.name}:{line}", row):
                yield chunker.take()
        yield chunker.take()


def _unquoted(cell: str) -> str:
    if len(cell) >= 2 and cell[0] == cell[-1] == '"':
        return cell[1:-1].replace('""', '"')
    return cell
