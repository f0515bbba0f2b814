"""Images named in a table: columns of paths, such as `file_name` in Hugging Face's metadata.csv, or of base64."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from headstart.core.errors import DataError
from headstart.data.findings import Findings
from headstart.data.image_files import subfolders
from headstart.data.image_folder import ImageFolder
from headstart.data.image_formats import SUFFIXES
from headstart.data.images import from_base64
from headstart.data.table import Chunk, Column, ImagePath, Table

METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
"names of the tables that describe the images beside them, as in Hugging Face's ImageFolder"
MOST = 0.5
"share of a column's values from which it counts as one of image paths"
TRIED = 50
"values that are looked up in each folder"

Cell = Callable[[Any], Any]


class ImageTable:
    """A table whose columns of image paths give `ImagePath`, and those of base64 the images' bytes.

    Paths are relative to the table's folder, to one of its subfolders, or to the working directory: the first that
    has any of them. A column of which no file exists stays text.

    loads: paths give the files' bytes, where other tables of the data hold bytes.
    """

    def __init__(self, inner: Table) -> None:
        self._inner, self.loads = inner, False
        self._cells: dict[str, Cell] | None = None

    def __getattr__(self, name: str) -> Any:
        if name == "_inner":  # while it is unpickled
            raise AttributeError(name)
        return getattr(self._inner, name)

    @property
    def name(self) -> str:
        return self._inner.name

    @name.setter
    def name(self, value: str) -> None:
        self._inner.name = value

    def sample(self) -> list[Column]:
        columns = self._inner.sample()
        if self._cells is None:
            path = getattr(self._inner, "path", None)
            folder = None if path is None else Path(path).parent
            self._cells = {column.name: cell for column in columns if (cell := _cell(column.values, folder))}
        return [
            dataclasses.replace(column, values=tuple(map(cell, column.values)))
            if (cell := self._cells.get(column.name))
            else column
            for column in columns
        ]

    def chunks(self, columns: Sequence[str], findings: Findings) -> Iterator[Chunk]:
        if self._cells is None:
            self.sample()
        cells = {name: cell for name, cell in (self._cells or {}).items() if name in columns}
        for chunk in self._inner.chunks(columns, findings):
            mapped = {name: [cell(value) for value in chunk.columns[name]] for name, cell in cells.items()}
            if self.loads:
                mapped = {name: [_loaded(value) for value in values] for name, values in mapped.items()}
            yield dataclasses.replace(chunk, columns=chunk.columns | mapped)


def with_images(table: Table) -> Table:
    """The table with its columns of image paths and of base64 read as images."""
    return table if isinstance(table, ImageFolder) else ImageTable(table)


def refuse_missing(column: Column, source: str) -> None:
    """Raises `DataError` for an input column of image paths none of which exists: a model would learn from names."""
    if column.kind != "text" or not _are_paths(column.values):
        return
    example = next(value for value in column.values if isinstance(value, str) and value)
    if "://" in example:
        raise DataError(
            f"{source}: the column {column.name!r} holds addresses of images ({example}). Download them, and write "
            "their paths into the column."
        )
    raise DataError(
        f"{source}: the column {column.name!r} holds paths of images, and none of them exists ({example}). Paths are "
        "relative to the table's folder, or absolute."
    )


def _are_paths(values: Sequence[Any]) -> bool:
    texts = [path for value in values if (path := _path(value)) is not None]
    ends = sum(os.path.splitext(text)[1].lower() in SUFFIXES for text in texts)
    return bool(texts) and ends > MOST * len(texts)


def _path(value: Any) -> str | None:
    """The text of a cell that may be a path; None for other cells."""
    if isinstance(value, dict) and not value.get("bytes"):
        value = value.get("path")
    return value.strip() if isinstance(value, str) and value.strip() and not isinstance(value, ImagePath) else None


def _cell(values: Sequence[Any], folder: Path | None) -> Cell | None:
    """How a column's cells become images; None where it is no column of images."""
    if _are_paths(values):
        paths = [path for value in values if (path := _path(value)) is not None]
        base = _base(paths[:TRIED] + paths[-TRIED:], folder)
        return None if base is None else lambda value: _placed(_path(value), base)
    texts = [value for value in values[:TRIED] if isinstance(value, str) and value]
    if texts and sum(from_base64(text) is not None for text in texts) > MOST * len(texts):
        return lambda value: (from_base64(value) or b"") if isinstance(value, str) else value
    return None


def _base(paths: Sequence[str], folder: Path | None) -> Path | None:
    bases = [] if folder is None else [folder, *(folder / name for name in subfolders(folder))]
    return next((base for base in (*bases, Path()) if any(_exists(base, path) for path in paths)), None)


def _exists(base: Path, path: str) -> bool:
    try:
        return (base / path).is_file() or (base / path.replace("\\", "/")).is_file()
    except (OSError, ValueError):  # a text too long for a path, or with a zero byte
        return False


def _placed(path: str | None, base: Path) -> ImagePath | None:
    if path is None:
        return None
    if "\\" in path and not (base / path).is_file():  # written on Windows
        path = path.replace("\\", "/")
    return ImagePath(os.path.abspath(base / path))


def _loaded(value: Any) -> Any:
    try:
        return Path(value).read_bytes() if isinstance(value, ImagePath) else value
    except OSError:
        return b""  # no image: noted as unreadable with its place
