"""Store of examples: rows are streamed into an Arrow file and memory-mapped, so that memory stays small."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import weakref
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa

from headstart.core.errors import ResourceError
from headstart.core.inputs import INPUT_KINDS
from headstart.tasks.task import Modality

HOLDS = b"headstart.input"
"""schema metadata: `path` if the column `input` holds paths of images, as bytes because file names need not be UTF-8;
`words` if it holds texts in words, `chat` for conversations, `passage` if `input_b` holds passages"""


def schema(modality: Modality, paths: bool, units: int = 0) -> pa.Schema:
    """Schema: input, [input_b], place, label (as written), tag (its type), group, split, cluster, [unit 0, …].

    units: number of columns with hashes of possible groups (`repeated_columns`).
    """
    given = INPUT_KINDS[modality]
    fields = [pa.field("input", pa.large_binary() if given.is_image else pa.large_string())]
    if given.is_pair:
        fields.append(pa.field("input_b", pa.large_string()))
    fields += [
        pa.field("place", pa.large_string()),
        pa.field("label", pa.large_string()),
        pa.field("tag", pa.int8()),
        pa.field("group", pa.large_string()),
        pa.field("split", pa.int8()),
        pa.field("cluster", pa.large_string()),
    ]
    fields += [pa.field(f"unit {at}", pa.uint64()) for at in range(units)]
    named = {b"words": given.words, b"chat": given.chat, b"passage": given.passage}
    holds = b"path" if paths else next((name for name, held in named.items() if held), None)
    return pa.schema(fields, metadata={HOLDS: holds} if holds else None)


class Store:
    """Writes batches to a file in a temporary folder; `open` maps it.

    folder: parent of the temporary folder [default: TMPDIR]. An error inside the context removes it.
    Raises `ResourceError` if the disk is full or not writable.
    """

    def __init__(self, kind: pa.Schema, folder: str | os.PathLike[str] | None = None) -> None:
        self.schema = kind
        try:
            self.folder = Path(tempfile.mkdtemp(prefix="headstart-data-", dir=folder))
            self._sink = pa.OSFile(str(self.folder / "rows.arrow"), "wb")
        except OSError as error:
            raise _unwritable(folder, error) from error
        self._writer = pa.ipc.new_file(self._sink, kind)

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            with contextlib.suppress(OSError, pa.ArrowException):
                self._sink.close()
            shutil.rmtree(self.folder, ignore_errors=True)

    def write(self, columns: dict[str, list[Any]]) -> None:
        """Appends rows, given as lists of equal length by the schema's names."""
        arrays = [_array(columns[field.name], field.type) for field in self.schema]
        try:
            self._writer.write_batch(pa.record_batch(arrays, schema=self.schema))
        except OSError as error:
            raise _unwritable(self.folder, error) from error

    def open(self) -> pa.Table:
        """The rows, mapped. The file lives as long as the table."""
        try:
            self._writer.close()
            self._sink.close()
            table = pa.ipc.open_file(pa.memory_map(str(self.folder / "rows.arrow"))).read_all()
        except OSError as error:
            raise _unwritable(self.folder, error) from error
        if os.name == "posix":
            # deleted at once, so that even a killed process leaves no file behind; the mapping stays valid
            shutil.rmtree(self.folder, ignore_errors=True)
        else:
            weakref.finalize(table, shutil.rmtree, self.folder, ignore_errors=True)
        return table


def gather(table: pa.Table, name: str, rows: np.ndarray) -> list[Any]:
    """The values of column `name` at `rows`, in their order.

    Read batch by batch, because `ChunkedArray.take` takes 9 ms for 32 of a million rows, this 0.3 ms.
    """
    column = table.column(name)
    ends = np.cumsum([len(chunk) for chunk in column.iterchunks()])
    chunk_of = np.searchsorted(ends, rows, side="right")
    order = np.argsort(chunk_of, kind="stable")
    found: list[Any] = [None] * len(rows)
    edges = np.flatnonzero(np.diff(chunk_of[order], prepend=-1))
    for begin, end in zip(edges, [*edges[1:], len(order)]):
        members = order[begin:end]
        at = int(chunk_of[members[0]])
        start = int(ends[at - 1]) if at else 0
        for place, value in zip(members.tolist(), column.chunk(at).take(pa.array(rows[members] - start)).to_pylist()):
            found[place] = value
    held = name == "input" and (table.schema.metadata or {}).get(HOLDS) == b"path"
    return [os.fsdecode(value) for value in found] if held else found


def _array(values: list[Any], kind: pa.DataType) -> pa.Array:
    if pa.types.is_large_binary(kind):
        values = [os.fsencode(v) if isinstance(v, str) else v for v in values]
    try:
        return pa.array(values, kind)
    except UnicodeEncodeError:  # because JSON can write a lone surrogate, which UTF-8 can't encode
        return pa.array([v.encode("utf-8", "replace").decode() if isinstance(v, str) else v for v in values], kind)


def _unwritable(folder: str | os.PathLike[str] | None, error: OSError) -> ResourceError:
    where = folder or tempfile.gettempdir()
    return ResourceError(
        f"can't keep the examples in {where}: {error.strerror or error}. Free space there, or set TMPDIR to a folder "
        "on a larger disk."
    )
