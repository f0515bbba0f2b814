"""Examples: the rows of a split, in a memory-mapped Arrow file."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xxhash

from headstart.core.chat import Chat
from headstart.core.errors import DataError
from headstart.core.passage import Passage
from headstart.core.records.data import DataRecord
from headstart.core.records.decoding import ALONE, Decoding
from headstart.core.showing import ShowingHTML
from headstart.core.words import Words
from headstart.data.documents.library import Library
from headstart.data.images.image import plain
from headstart.data.ingest.store import HOLDS, gather
from headstart.tasks.task import Task

if TYPE_CHECKING:
    import pyarrow as pa

HASHED = 1024
"inputs hashed at once"

Input = str | tuple[str, str] | bytes
"""a text (`Words` where it comes in words, `Chat` for a conversation), a pair of texts (`Passage` if one holds the
answer), or the encoded bytes of an image"""


class Examples:
    """Rows `rows` of an Arrow table with the input columns; targets and ids are arrays.

    ids: [n] int64, number of the example in the whole source, unique over the splits of one `Data`.
    decoding: rule for decoding images; `inputs` applies it, so that all readers get the same RGB values.
    targets: [n] int64 class indices, [n, labels] float32 for multi-label, [n] float32 for regression, [n, L] int16 tags
        of at most L words, -1 behind the last; [n, A, 2] int32 first and last sign of each accepted answer in its
        passage (`Passage`), -1 behind the last answer; for generation [n] int64 zeros, because the
        conversations hold the answers.
    units: [n] int64, rows that splits keep together (same input or group); None if unknown.
    clusters: [n] int64, rows that count as one in intervals and tests (`--group`, `--cluster-by`); None if each
        example counts alone.
    places: origin of each example for messages, such as `reviews.csv:17`.
    """

    def __init__(
        self, table: pa.Table, rows: np.ndarray, ids: np.ndarray, targets: np.ndarray, decoding: Decoding = ALONE,
        units: np.ndarray | None = None, clusters: np.ndarray | None = None,
    ) -> None:  # fmt: skip
        self.table, self.rows, self.ids, self.targets, self.decoding = table, rows, ids, targets, decoding
        self.units, self.clusters = units, clusters

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles only these rows, because another process does not need the whole table."""
        table = self.table.take(self.rows)
        return Examples, (
            table, np.arange(len(self)), self.ids, self.targets, self.decoding, self.units, self.clusters,
        )  # fmt: skip

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        return f"Examples({len(self)} rows)"

    @cached_property
    def content(self) -> str:
        """Hash of the inputs in order; for an image folder, of path, size and modification time of the files."""
        digest = xxhash.xxh3_128()
        paths = (self.table.schema.metadata or {}).get(HOLDS) == b"path"
        for name in ("input", "input_b"):
            for start in range(0, len(self) if name in self.table.column_names else 0, HASHED):
                for value in self._column(name, self.rows[start : start + HASHED]):
                    piece = _stamp(value) if paths else value.encode() if isinstance(value, str) else value
                    digest.update(f"{len(piece)}:".encode())
                    digest.update(piece)
        return f"{len(self)}-{digest.hexdigest()}"

    def take(self, positions: Sequence[int] | np.ndarray) -> Examples:
        """The examples at these positions, in this order."""
        positions = np.asarray(positions, dtype=np.int64)
        rows, ids, targets = self.rows[positions], self.ids[positions], self.targets[positions]
        units, clusters = (None if codes is None else codes[positions] for codes in (self.units, self.clusters))
        return Examples(self.table, rows, ids, targets, self.decoding, units, clusters)

    def decoded_by(self, decoding: Decoding) -> Examples:
        """The same examples with this rule for decoding images."""
        return Examples(self.table, self.rows, self.ids, self.targets, decoding, self.units, self.clusters)

    def with_(self, other: Examples) -> Examples:
        """These and other examples of the same table, concatenated."""
        mine, others = ((part.rows, part.ids, part.targets) for part in (self, other))
        units, clusters = (
            None if a is None or b is None else np.concatenate([a, b])
            for a, b in ((self.units, other.units), (self.clusters, other.clusters))
        )
        rows, ids, targets = (np.concatenate(pair) for pair in zip(mine, others))
        return Examples(self.table, rows, ids, targets, self.decoding, units, clusters)

    def inputs(self, positions: Sequence[int] | np.ndarray | None = None) -> list[Input]:
        """Reads the inputs at these positions from the mapped file; None means all.

        The table's columns are `input` and, for text pairs, `input_b`; for image folders `input` holds paths, whose
        files are read here. Raises `DataError` if such a file no longer exists.
        """
        rows = self.rows if positions is None else self.rows[np.asarray(positions, dtype=np.int64)]
        first = self._column("input", rows)
        holds = (self.table.schema.metadata or {}).get(HOLDS)
        if "input_b" in self.table.column_names:
            second = self._column("input_b", rows)
            return list(map(Passage, first, second)) if holds == b"passage" else list(zip(first, second))
        if holds == b"words":
            return list(map(Words, first))
        if holds == b"chat":
            return list(map(Chat, first))
        if holds == b"path":
            first = [_file(path) for path in first]
        return [plain(one, self.decoding) if isinstance(one, bytes) else one for one in first]

    def places(self, positions: Sequence[int] | np.ndarray) -> list[str]:
        return self._column("place", self.rows[np.asarray(positions, dtype=np.int64)])

    def _column(self, name: str, rows: np.ndarray) -> list[Any]:
        return gather(self.table, name, rows)


def _stamp(path: str) -> bytes:
    try:
        found = os.stat(path)
    except OSError:  # reported when it is read
        return os.fsencode(path)
    return os.fsencode(path) + f"\x1f{found.st_size}\x1f{found.st_mtime_ns}".encode()


def _file(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise DataError(
            f"can't read the image {path} any more: {error.strerror}. It was there when data was read."
        ) from error


@dataclass(frozen=True)
class Data(ShowingHTML):
    """A task with its three splits, and the record of their origin and of the audit's findings."""

    task: Task
    train: Examples
    validation: Examples
    test: Examples
    record: DataRecord
    origin: Mapping[str, Any] | None = None
    """source and options to read the same data again with `headstart.read`; None if it came from Python objects"""
    documents: Library | None = None
    "in which methods look for passages"

    def decoded_by(self, decoding: Decoding) -> Data:
        """The same examples with this rule for decoding images."""
        splits = {name: getattr(self, name).decoded_by(decoding) for name in ("train", "validation", "test")}
        return replace(self, task=replace(self.task, images=decoding), **splits)
