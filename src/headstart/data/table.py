"""Table: what every format looks like from outside. Columns to look at, and rows in chunks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

from headstart.core.errors import DataError
from headstart.data.findings import Findings
from headstart.data.numbers import number

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
    """The path of an image's file, to tell it from a text."""

    __slots__ = ()


@dataclass
class Chunk:
    """Some rows: where each came from, and the wanted columns' values."""

    places: list[str]
    columns: dict[str, list[Any]]


class Table(Protocol):
    """One file, or one split of a data set.

    `sample` looks at the first rows; `chunks` streams the wanted columns and notes in `findings` the rows that it
    could not read. Both raise `DataError` where the whole is unreadable.
    """

    name: str

    def sample(self) -> list[Column]: ...

    def chunks(self, columns: Sequence[str], findings: Findings) -> Iterator[Chunk]: ...


class Chunker:
    """Gathers single rows into chunks, closing a chunk at `CHUNK_ROWS` rows or `CHUNK_SIZE` characters."""

    def __init__(self, columns: Sequence[str]) -> None:
        self.columns = list(columns)
        self._clear()

    def _clear(self) -> None:
        self.places: list[str] = []
        self.rows: list[Sequence[Any]] = []
        self.size = 0

    def add(self, place: str, values: Sequence[Any]) -> bool:
        """Adds one row; True where the chunk is full and `take` is due."""
        self.places.append(place)
        self.rows.append(values)
        self.size += sum(len(v) for v in values if isinstance(v, (str, bytes)))
        return len(self.rows) >= CHUNK_ROWS or self.size >= CHUNK_SIZE

    def take(self) -> Chunk:
        values = [list(column) for column in zip(*self.rows)] if self.rows else [[] for _ in self.columns]
        chunk = Chunk(self.places, dict(zip(self.columns, values)))
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
