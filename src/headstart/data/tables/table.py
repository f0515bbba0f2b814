"""Table: the common interface of all formats, with a sample of the columns and the rows in chunks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

from headstart.core.errors import DataError
from headstart.data.audit.findings import Findings
from headstart.data.tables.numbers import number

SAMPLE = 1_000
"number of rows in the sample for detecting column roles"
CHUNK_ROWS = 4_096
CHUNK_SIZE = 16_000_000
"size at which a chunk is closed early, in characters or bytes"


@dataclass(frozen=True)
class Column:
    """A column's name, sample values, and the class names if the file declares them."""

    name: str
    values: tuple[Any, ...]
    class_names: tuple[str, ...] = ()

    @cached_property
    def kind(self) -> str:
        """`image`, `list`, `number`, `text`, or `none` without values."""
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
    """Path of an image file, distinguished from text by its type. given: the path as written in the table."""

    __slots__ = ("given",)
    given: str


@dataclass(frozen=True)
class Problem:
    """Reason why a row is unusable: in a finding `{rows} <why>, left out: <advice>`, beside the row `<why>: <advice>`.

    kind: kind of the finding. detail: about this row only, such as its number of lines.
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
        """Adds the row at `place` to the findings."""
        message = f"{{rows}} {self.why}, left out" + (f": {self.advice}" if self.advice else "")
        findings.leave_out(self.kind, message, f"{place} ({self.detail})" if self.detail else place)


@dataclass
class Chunk:
    """Some rows: their places, and the values of the wanted columns.

    problems: problems by position in the chunk; the values of such rows are None.
    """

    places: list[str]
    columns: dict[str, list[Any]]
    problems: dict[int, Problem] = field(default_factory=dict)

    def without_problems(self, findings: Findings) -> Chunk:
        """The readable rows; the others become findings."""
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
    unreadable row. Both raise `DataError` if the file is unreadable.
    """

    name: str

    def sample(self) -> list[Column]: ...

    def chunks(self, columns: Sequence[str], findings: Findings) -> Iterator[Chunk]: ...


class TableAround:
    """A table that changes columns of another one, and has all else of it."""

    def __init__(self, inner: Table) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        if name == "_inner":  # during a copy, which has no attributes yet
            raise AttributeError(name)
        return getattr(self._inner, name)

    @property
    def name(self) -> str:
        return self._inner.name

    @name.setter
    def name(self, value: str) -> None:
        self._inner.name = value


def readable(table: Table, columns: Sequence[str], findings: Findings) -> Iterator[Chunk]:
    """The readable rows of a table; the others become findings."""
    for chunk in table.chunks(columns, findings):
        yield chunk.without_problems(findings)


class Chunker:
    """Collects single rows into chunks, closing a chunk at `CHUNK_ROWS` rows or `CHUNK_SIZE` characters."""

    def __init__(self, columns: Sequence[str]) -> None:
        self.columns = list(columns)
        self._clear()

    def _clear(self) -> None:
        self.places: list[str] = []
        self.rows: list[Sequence[Any]] = []
        self.problems: dict[int, Problem] = {}
        self.size = 0

    def add(self, place: str, values: Sequence[Any] | Problem) -> bool:
        """Adds a row or its problem; True if the chunk is full and `take` must follow."""
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


def mostly_bad(name: str, good: int, bad: int, what: str, places: Sequence[str], lenient: bool) -> None:
    """Raises `DataError` if most rows of a file are unreadable, because the file then has another format.

    lenient: True to refuse it only if all are, because predictions answer each row by itself.
    """
    if bad > good and not (lenient and good):
        where = ", ".join(places)
        raise DataError(
            f"{name}: {bad:,} of {bad + good:,} rows {what} (first: {where}). Check the file's format and its "
            "extension: .csv, .tsv, .jsonl or .parquet."
        )
