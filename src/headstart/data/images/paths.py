"""Image columns of tables: paths, such as `file_name` in Hugging Face's metadata.csv, or base64."""

from __future__ import annotations

import dataclasses
import os
import re
import urllib.parse
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from headstart.core.errors import DataError
from headstart.data.audit.findings import Findings
from headstart.data.images.files import subfolders
from headstart.data.images.folder import ImageFolder
from headstart.data.images.formats import SUFFIXES
from headstart.data.images.image import from_base64
from headstart.data.images.places import bases_of, clear_folders, placed
from headstart.data.ingest.split_names import lies_beside, split_of_words
from headstart.data.tables.column_names import PLAIN_TEXT, TEXTS
from headstart.data.tables.near import did_you_mean
from headstart.data.tables.table import Chunk, Column, ImagePath, Table, TableAround

MOST = 0.5
"minimum share of image paths in an image column"
SPLIT = "split"
TRIED = 50
"number of values that are looked up in each folder"

LONGEST_NAME = 64
"maximum length of an image's name without suffix, in characters"
_USUAL = (".jpg", ".png", ".jpeg", ".tif", ".tiff", ".dcm", ".webp", ".bmp", ".JPG", ".PNG", ".JPEG")
"suffixes to try if a table omits them"
_QUERY = re.compile(r"[?#].*")
_ADDRESS = re.compile(r"https?://\S+")
_CALLED = re.compile(r"image|img|photo|picture|thumbnail", re.IGNORECASE)
_NAMES = re.compile(rf"(^|_)(id|name|file|code|nr)s?(_|$)|{_CALLED.pattern}", re.IGNORECASE)
_BLANK = re.compile(r"\s")
_UNREAD = {
    ".txt", ".wav", ".mp3", ".flac", ".ogg", ".m4a", ".mp4", ".avi", ".mov", ".mkv", ".webm", ".pdf", ".doc", ".docx",
    ".npy", ".html", ".xml", ".json", ".svg",
}  # fmt: skip
"suffixes of other files in tables, such as sounds and documents"
_GAP = re.compile(r"[\s/\\]")

Cell = Callable[[Any], Any]


class ImageTable(TableAround):
    """A table whose columns of image paths give `ImagePath`, and those of base64 the images' bytes.

    Paths are relative to the table's folder, to one of its subfolders, or to the working directory. A column without
    any existing file stays text.

    splits: paths in folders of splits (`train/1.png`, `test/1.png`) give a column `split`, unless the table has one.
    loads: True to read the files, because other tables of the data hold bytes. listed: paths in the chunks so far.
    """

    def __init__(self, inner: Table, splits: bool = True) -> None:
        super().__init__(inner)
        self._splits, self.loads = splits, False
        self.listed: set[str] = set()
        self._cells: dict[str, Cell] | None = None
        self._split_from: str | None = None

    def sample(self) -> list[Column]:
        columns = self._inner.sample()
        if self._cells is None:
            self._look_at(columns)
        cells = self._cells or {}
        found = [
            dataclasses.replace(column, values=tuple(map(cell, column.values)))
            if (cell := cells.get(column.name))
            else column
            for column in columns
        ]
        if self._split_from is not None:
            paths = next(column.values for column in columns if column.name == self._split_from)
            found.append(Column(SPLIT, tuple(map(_split, paths))))
        return found

    def _look_at(self, columns: Sequence[Column]) -> None:
        path = getattr(self._inner, "path", None)
        table = None if path is None else Path(path)
        self._cells = {column.name: cell for column in columns if (cell := _cell(column.values, table))}
        has_input = any(column.kind == "image" or column.name.lower() in (*PLAIN_TEXT, *TEXTS) for column in columns)
        if not self._cells and not has_input:
            self._cells = {column.name: cell for column in columns if (cell := _by_name(column, table))}
        if self._splits and not any(column.name.lower() == SPLIT for column in columns):
            for column in columns:
                splits = {_split(value) for value in column.values if _path(value)}
                if column.name in self._cells and {"train"} < splits and None not in splits:
                    self._split_from = column.name

    def chunks(self, columns: Sequence[str], findings: Findings) -> Iterator[Chunk]:
        if self._cells is None:
            self._look_at(self._inner.sample())
        source = self._split_from if SPLIT in columns else None
        wanted = [name for name in columns if source is None or name != SPLIT]
        cells = {name: cell for name, cell in (self._cells or {}).items() if name in columns}
        asked = wanted if source is None or source in wanted else [*wanted, source]
        for chunk in self._inner.chunks(asked, findings):
            found = dict(chunk.columns)
            if source is not None:
                found[SPLIT] = [_split(value) for value in chunk.columns[source]]
            for name, cell in cells.items():
                values = [cell(value) for value in chunk.columns[name]]
                self.listed.update(value for value in values if isinstance(value, ImagePath))
                found[name] = [_loaded(value) for value in values] if self.loads else values
            yield dataclasses.replace(chunk, columns={name: found[name] for name in columns})


def with_images(table: Table, splits: bool = True) -> Table:
    """The table with its columns of image paths and base64 as images."""
    return table if isinstance(table, ImageFolder) else ImageTable(table, splits)


def refuse_missing(column: Column, source: str, folder: Path) -> None:
    """Raises `DataError` if no path of an input column exists, because a model would learn from file names.

    folder: the table's, where files of such names may lie elsewhere.
    """
    if column.kind != "text" or not (_are_paths(column.values) or _are_addresses(column)):
        return
    example = next(value for value in column.values if isinstance(value, str) and value)
    if "://" in example:
        raise DataError(
            f"{source}: the column {column.name!r} holds addresses of images ({example}). Download them, and write "
            "their paths into the column."
        )
    raise DataError(
        f"{source}: the column {column.name!r} holds paths of images, and none of them exists ({example}). Paths are "
        f"relative to the table's folder, or absolute.{_elsewhere(folder, example)}"
    )


def _elsewhere(folder: Path, path: str) -> str:
    """` Did you mean …?` with a file of the same name in the folder or below it."""
    name = path.replace("\\", "/").rpartition("/")[2]
    inside = (one / name for one in (folder, *(folder / inner for inner in subfolders(folder))))
    found = next((str(one) for one in inside if one.is_file()), None)
    return f" Did you mean {found}?" if found else did_you_mean(folder / path)


def refuse_file_names(column: Column, source: str) -> None:
    """Raises `DataError` if a detected input column holds names of sounds, videos or documents."""
    names = [value for value in column.values if isinstance(value, str) and value]
    such = [name for name in names if "://" not in name and not _BLANK.search(name) and _ends(name, _UNREAD)]
    if len(such) > MOST * len(names):
        raise DataError(
            f"{source}: the column {column.name!r} holds names of files ({such[0]}), which are not opened. Write the "
            f"files' texts into the table; to learn from the names themselves: --text {column.name}."
        )


def _are_paths(values: Sequence[Any]) -> bool:
    texts = [path for value in values if (path := _path(value)) is not None]
    return bool(texts) and sum(_ends(text, SUFFIXES) for text in texts) > MOST * len(texts)


def _ends(text: str, suffixes: Collection[str]) -> bool:
    """True if a path has one of these suffixes, or an address before its `?` or `#`."""
    return any(os.path.splitext(one)[1].lower() in suffixes for one in (text, _QUERY.sub("", text)))


def _are_addresses(column: Column) -> bool:
    """True if the column has a name of images and holds addresses, with any suffix."""
    texts = [value for value in column.values if isinstance(value, str) and value]
    addresses = sum(bool(_ADDRESS.fullmatch(text.strip())) for text in texts)
    return bool(_CALLED.search(column.name)) and addresses > MOST * len(texts)


def _by_name(column: Column, table: Path | None) -> Cell | None:
    """Converter for cells without suffix (`id_code` 4a3f for train_images/4a3f.png) into paths.

    None if the names are not distinct, or if most images do not exist. Numbers count only if the column has a name of
    images or row numbers.
    """
    ids = [str(value).strip() for value in column.values if value is not None and value != ""]
    distinct = len(set(ids)) > 0.9 * len(ids) and not any(len(one) > LONGEST_NAME or _GAP.search(one) for one in ids)
    if table is None or not ids or not distinct or (column.kind == "number" and not _NAMES.search(column.name)):
        return None
    tried = ids[:5] + ids[-5:]
    found = {
        (folder, suffix): held
        for folder in ("", *subfolders(table.parent))
        if not lies_beside(folder)
        for suffix in _USUAL
        if (held := {one for one in tried if (table.parent / folder / f"{one}{suffix}").is_file()})
    }
    if not len(set().union(*found.values())) > MOST * len(set(tried)):
        return None
    holding: dict[str, set[str]] = {}
    for (folder, _), held in found.items():
        holding.setdefault(folder, set()).update(held)
    bases = [table.parent / folder for folder in clear_folders(holding, table)]
    suffixes = sorted({suffix for _, suffix in found})

    def cell(value: Any) -> ImagePath | None:
        if value is None or value == "":
            return None
        name = str(value).strip()
        there = (f"{name}{one}" for one in suffixes if any((base / f"{name}{one}").is_file() for base in bases))
        return placed(next(there, f"{name}{suffixes[0]}"), bases)

    return cell


def _path(value: Any) -> str | None:
    """The text of a cell that may be a path; None for other cells."""
    if isinstance(value, dict) and not value.get("bytes"):
        value = value.get("path")
    if not isinstance(value, str) or not value.strip() or isinstance(value, ImagePath):
        return None
    path = value.strip()
    return urllib.parse.unquote(path.removeprefix("file://")) if path.startswith("file://") else path


def _split(value: Any) -> str | None:
    """A name of the split whose folder starts a path."""
    folder, slash, _ = (_path(value) or "").replace("\\", "/").partition("/")
    split = split_of_words(folder) if slash else None
    return "eval" if split == "other" else split  # one of its names, which `splits_of` settles


def _cell(values: Sequence[Any], table: Path | None) -> Cell | None:
    """Converter of a column's cells into images; None if it is no image column."""
    if _are_paths(values):
        paths = [path for value in values if (path := _path(value)) is not None]
        bases = bases_of(paths[:TRIED] + paths[-TRIED:], table)
        return (lambda value: placed(_path(value), bases)) if bases else None
    texts = [text for text in map(_encoded, values[:TRIED]) if text]
    if texts and sum(from_base64(text) is not None for text in texts) > MOST * len(texts):
        return _decoded
    return None


def _decoded(value: Any) -> Any:
    text = _encoded(value)
    return (
        value if text is None else from_base64(text) or b""
    )  # empty bytes, so that the audit reports the image as unreadable


def _encoded(value: Any) -> str | None:
    """Text of a cell that may be base64: a string, or an image object of JSON."""
    text = value.get("bytes") if isinstance(value, dict) else value
    return text if isinstance(text, str) and text else None


def _loaded(value: Any) -> Any:
    try:
        return Path(value).read_bytes() if isinstance(value, ImagePath) else value
    except OSError:
        return b""  # empty bytes, so that the audit reports the image as unreadable
