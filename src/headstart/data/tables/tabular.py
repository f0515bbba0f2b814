"""CSV and TSV files, row by row, with the line number of each row."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from headstart.core.errors import DataError
from headstart.data.audit.findings import Findings
from headstart.data.audit.findings import rows as count
from headstart.data.tables.column_names import shown
from headstart.data.tables.delimiters import DELIMITERS
from headstart.data.tables.encodings import in_words
from headstart.data.tables.layout import LOOKED_AT, find
from headstart.data.tables.lines import WINDOWS, file_encoding, lines
from headstart.data.tables.quoted import Quoted
from headstart.data.tables.spread import Spread
from headstart.data.tables.table import Chunk, Chunker, Column, Problem, mostly_bad
from headstart.data.tables.word_columns import listed, lists_as_text

MENDED = "{rows} with a quote that is left open or not doubled, read as an ordinary sign"
DOUBTFUL = "{rows} over several lines inside of quotes, whose lines could be rows as well: is a quote left open?"
HEADLESS = (
    "the first line holds values, so it was read as a row and the columns are called column 1, column 2, …: is the "
    "header missing?"
)
AGAIN = "{rows} equal to the header, as where files were put together: passed over"
RULE = "{rows} of dashes alone below the header, as in Markdown and psql: passed over"
TITLES = "{rows} above the header, read as a title: passed over"
COMMENTS = "{rows} that begin with # above the header, read as comments: passed over"
QUALTRICS = "{rows} of questions and ids below the header, as Qualtrics writes them: passed over"
_RULE = re.compile(r"[\s|+:=-]*---[\s|+:=-]*")
OPTIONS = "{rows} of options below the header, as SurveyMonkey writes them: passed over"
WIDTH = "with more or fewer cells than the header"


class Delimited:
    """A table with a header line. Delimiter, quoting and header are detected from the first lines (`layout`)."""

    def __init__(self, path: Path) -> None:
        self.path, self.name = path, path.name
        tabs = {".tsv", ".tab"} & {suffix.lower() for suffix in path.suffixes}
        head = list(itertools.islice(lines(path, Findings()), LOOKED_AT))
        if any(line.lstrip().startswith(("{", "[{")) or line.strip() == "[" for line in head[:1]):
            raise DataError(f"{path} holds JSON and no table of cells. Give it the extension .jsonl or .json.")
        layout = find(head, "\t" if tabs else ",")
        if layout is None:
            raise DataError(f"{path} is empty. It needs a header line with the columns' names and rows below it.")
        self._head = head[layout.skipped : layout.skipped + 100]
        self.layout, self.header = layout, layout.header
        if len(self.header) == 1 and re.search(r'\w" +"\w', self.header[0]):
            raise DataError(f"{path}: blanks separate the cells. Write commas or tabs between them (R: write.csv).")
        if sign := _other_delimiter(self.header, head[layout.skipped :]):
            line = f", or the line sep={sign} above the header" if sign.isprintable() else ""
            raise DataError(f"{path}: {sign!r} seems to separate the cells. Write commas or tabs in its place{line}.")
        if len(self.header) == 1 and re.search(r'\w"?[,;\t|]"?\w', self.header[0]) and _most(head, '"'):
            raise DataError(
                f"{path}: each line stands in quotes as a single cell. Take the quotes around the lines away."
            )
        double = sorted({name for name in self.header if self.header.count(name) > 1})
        if double:
            raise DataError(f"{path}: the header names {', '.join(double)} twice. Give each column its own name.")
        self.encoding = in_words(file_encoding(path))
        self._read, self._lists, self._windows = (0, 0), frozenset[str](), False

    typed = False
    "cells of CSV are text, even numbers"
    lenient = False
    "True to keep a file whose rows are mostly broken, each with its problem"

    @property
    def format(self) -> str:
        """`commas, UTF-8, 120 rows on 131 lines`: how the file was read, for the user."""
        sign, (rows, last) = self.layout.dialect.delimiter, self._read
        names = [name for name in self.header if re.fullmatch(r"unnamed \d+", name)]
        more = f", without a name in the header: {shown(names)}" if names else ""
        encoding = self.encoding + " and Windows-1252" * self._windows
        return f"{DELIMITERS.get(sign, sign) or 'one column'}, {encoding}, {count(rows)} on {last:,} lines{more}"

    def _records(self, findings: Findings) -> Iterator[tuple[int, list[str] | Problem]]:
        """(line, cells) of rows as wide as the header; (line, problem) of the others."""
        layout, good, bad, wrong = self.layout, 0, 0, Findings()
        mended = findings.count("encoding", WINDOWS)
        found = itertools.islice(lines(self.path, findings), layout.skipped, None)
        rows = iter(Quoted(found, layout.dialect, layout.width, layout.habits))
        if layout.headless:
            findings.add("header", "warning", HEADLESS, [f"{self.name}:{layout.skipped + 1}"])
        else:
            next(rows, None)
        if layout.titles:
            findings.add("header", "note", TITLES, [f"{self.name}:1"], layout.titles)
        if layout.comments:
            places = [f"{self.name}:{at}" for at in range(1, layout.comments + 1)]
            findings.add("header", "note", COMMENTS, places)
        first = list(itertools.islice(rows, 2))
        if len(first) == 2 and all(cell.startswith('{"ImportId"') for cell in first[1].cells):
            findings.add("header", "note", QUALTRICS, [f"{self.name}:{layout.skipped + row.line}" for row in first], 2)
            first = []
        if layout.options and first:
            findings.add("header", "note", OPTIONS, [f"{self.name}:{layout.skipped + first.pop(0).line}"])
        rows = itertools.chain(first, rows)
        again = [name.lower() for name in self.header]
        for at, row in enumerate(rows):
            place, cells = f"{self.name}:{layout.skipped + row.line}", row.cells
            if at == 0 and layout.width > 1 and _RULE.fullmatch("".join(cells)):
                findings.add("header", "note", RULE, [place])
                continue
            self._read = good + bad + 1, layout.skipped + row.line + row.span - 1
            if len(cells) > layout.width and not any(cells[layout.width :]):
                cells = cells[: layout.width]
            if layout.width > 1 and [cell.strip().lower() for cell in cells] == again:
                findings.add("header", "warning", AGAIN, [place])
                continue
            if len(cells) == layout.width:
                if row.mended:
                    findings.add("quote", "warning", MENDED, [place])
                if row.doubtful:
                    findings.add("quote", "warning", DOUBTFUL, [place])
                good += 1
                yield layout.skipped + row.line, cells
                continue
            bad += 1
            wrong.add("malformed", "error", "", [place])
            detail = f"it runs over {row.span:,} lines: is a quote left open?" if row.span > 20 else ""
            yield layout.skipped + row.line, Problem("malformed", WIDTH, "quote cells that hold the delimiter", detail)
        self._windows = findings.count("encoding", WINDOWS) > mended
        quote = next((sign for sign in "'\u2018\u201c\u201e\u00ab" if _most(self._head[1:], sign)), None)
        what = f"do not have the header's {layout.width} cells; a cell that holds the delimiter needs quotes around it"
        what += f' (", not {quote})' if quote else ""
        mostly_bad(self.name, good, bad, what, wrong.places("malformed"), self.lenient)

    def sample(self) -> list[Column]:
        return self._sample

    @cached_property
    def _sample(self) -> list[Column]:
        found = Spread(cells for _, cells in self._records(Findings()) if not isinstance(cells, Problem)).rows
        if not found:
            raise DataError(f"{self.path} has a header but no rows. Add rows below {', '.join(self.header)}.")
        columns = [Column(name, tuple(cells[at] for cells in found)) for at, name in enumerate(self.header)]
        self._lists = lists_as_text(columns)
        return [Column(one.name, tuple(map(listed, one.values))) if one.name in self._lists else one for one in columns]

    def chunks(self, columns: Sequence[str], findings: Findings) -> Iterator[Chunk]:
        self.sample()  # finds the lists
        where = [(self.header.index(name), name in self._lists) for name in columns]
        chunker = Chunker(columns)
        for line, cells in self._records(findings):
            row: list[Any] | Problem
            row = cells if isinstance(cells, Problem) else [listed(cells[at]) if on else cells[at] for at, on in where]
            if chunker.add(f"{self.name}:{line}", row):
                yield chunker.take()
        yield chunker.take()


def _most(lines: Sequence[str], sign: str) -> bool:
    """True if most lines begin with the sign."""
    return sum(line.startswith(sign) for line in lines) > 0.8 * len(lines) > 0


def _other_delimiter(header: Sequence[str], lines: Sequence[str]) -> str | None:
    """A sign that separates cells in the header and in nearly every row of a single column."""
    every = "~^@:#\x01\x1f\u00a7\uff0c\uff1b\u3001" if len(header) == 1 else ""
    signs = (sign for sign in every if re.search(rf"\w ?{re.escape(sign)} ?\w", header[0]))
    return next((sign for sign in signs if sum(sign in line for line in lines) > 0.95 * len(lines) > 3), None)
