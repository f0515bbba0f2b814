"""Table: what every format looks like from outside. Columns to look at, and rows in chunks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

from headstart.core.errors import DataError
from headstart.data.audit.findings import Findings
from headstart.data.tables.numbers import number

SAMPLE = 1_000
"rows looked at to tell the columns apart"
CHUNK_ROWS = 4_096
CHUNK_SIZE = 16_000_000
"characters or bytes after which a chunk is closed early"


@dataclass(frozen=True)
class Column:
    """A column's name, the values of the first rows, and the class names where the file declares them."""

    name: str
    values: tuple[Any, ...]
    class_names: tuple[str, ...] = ()

    @cached_property
    def kind(self) -> str:
        """`image`, `list`, `number`, `text`, or `none` where no row has a value."""
        values = [v for v in self.values if v is not None and v != ""]
        if not values:
            return "none"
        if all(isinstance(v, (bytes, ImagePath)) or (isinstance(v, dict) and "bytes" in v) for v in values):
            return "image"
        if all(isinstance(v, (list, tuple)) for v in values):
            return "list"
        if all(isinstance(v, (bool, int, float)) or (isinstance(v, str) and number(v) is not None) for v in values):
            return "number"
        return "text" if any(isinstance(v, str) for v in values) else "other"

    @cached_property
    def distinct(self) -> int:
        return len({repr(v) for v in self.values if v is not None and v != ""})

    @cached_property
    def mean_length(self) -> float:
        lengths = [len(v) for v in self.values if isinstance(v, str) and v]
        return sum(lengths) / len(lengths) if lengths else 0.0


class ImagePath(str):
    """The path of an image's file, to tell it from a text. given: as it stood in a table, where it did."""

    __slots__ = ("given",)
    given: str


@dataclass(frozen=True)
class Problem:
    """Why a row can't be used: in a finding `{rows} <why>, left out: <advice>`, beside the row `<why>: <advice>`.

    kind: of the finding. detail: what is special about this one row, such as how many lines it runs over.
    """

    kind: str
    why: str
    advice: str = ""
    detail: str = ""

    def __str__(self) -> str:
        return ": ".join(part for part in (self.why, self.advice) if part) + (
            f" ({self.detail})" if self.detail else ""
        )

    def note(self, place: str, findings: Findings) -> None:
        """Counts the row at `place` as left out."""
        message = f"{{rows}} {self.why}, left out" + (f": {self.advice}" if self.advice else "")
        findings.leave_out(self.kind, message, f"{place} ({self.detail})" if self.detail else place)


@dataclass
class Chunk:
    """Some rows: where each came from, and the wanted columns' values.

    problems: position in the chunk to what keeps a row from being read; its values are None.
    """

    places: list[str]
    columns: dict[str, list[Any]]
    problems: dict[int, Problem] = field(default_factory=dict)

    def without_problems(self, findings: Findings) -> Chunk:
        """The rows that could be read; the others are noted as left out."""
        for at, problem in self.problems.items():
            problem.note(self.places[at], findings)
        if not self.problems:
            return self
        kept = [at for at in range(len(self.places)) if at not in self.problems]
        columns = {name: [values[at] for at in kept] for name, values in self.columns.items()}
        return Chunk([self.places[at] for at in kept], columns)


class Table(Protocol):
    """One file, or one split of a data set.

    `sample` gives the columns with some of their values; `chunks` streams the wanted columns, with a problem for each
    row that could not be read. Both raise `DataError` where the whole is unreadable.
    """

    name: str

    def sample(self) -> list[Column]: ...

    def chunks(self, columns: Sequence[str], findings: Findings) -> Iterator[Chunk]: ...


def readable(table: Table, columns: Sequence[str], findings: Findings) -> Iterator[Chunk]:
    """The rows of a table that could be read; the others are noted as left out."""
    for chunk in table.chunks(columns, findings):
        yield chunk.without_problems(findings)


class Chunker:
    """Gathers single rows into chunks, closing a chunk at `CHUNK_ROWS` rows or `CHUNK_SIZE` characters."""

    def __init__(self, columns: Sequence[str]) -> None:
        self.columns = list(columns)
        self._clear()

    def _clear(self) -> None:
        self.places: list[str] = []
        self.rows: list[Sequence[Any]] = []
        self.problems: dict[int, Problem] = {}
        self.size = 0

    def add(self, place: str, values: Sequence[Any] | Problem) -> bool:
        """Adds one row, or why it could not be read; True where the chunk is full and `take` is due."""
        if isinstance(values, Problem):
            self.problems[len(self.rows)] = values
            values = [None] * len(self.columns)
        self.places.append(place)
        self.rows.append(values)
        self.size += sum(len(v) for v in values if isinstance(v, (str, bytes)))
        return len(self.rows) >= CHUNK_ROWS or self.size >= CHUNK_SIZE

    def take(self) -> Chunk:
        values = [list(column) for column in zip(*self.rows)] if self.rows else [[] for _ in self.columns]
        chunk = Chunk(self.places, dict(zip(self.columns, values)), self.problems)
        self._clear()
        return chunk


def mostly_bad(name: str, good: int, bad: int, what: str, places: Sequence[str]) -> None:
    """Raises `DataError` where most rows of a file could not be read: it is then another format, not a slip."""
    if bad > good:
        where = ", ".join(places)
        raise DataError(
            f"{name}: {bad:,} of {bad + good:,} rows {what} (first: {where}). Check the file's format and its "
            "extension: .csv, .tsv, .jsonl or .parquet."
        )
