"""Unlabelled inputs, as `predict` gets them: texts, files of texts, images, folders of images."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from headstart.core.errors import DataError
from headstart.data.columns import find_inputs
from headstart.data.examples import Input
from headstart.data.findings import Findings
from headstart.data.image_folder import SUFFIXES
from headstart.data.sources import FORMATS
from headstart.data.table import ImagePath
from headstart.data.task import Modality


@dataclass(frozen=True)
class Unlabelled:
    """value: what the model reads, an image in a file by its path: all at once would not fit into memory.

    name: what stands for it in the output (the text itself, or the image's place).
    """

    value: Input
    name: str


def unlabelled(
    inputs: Sequence[str], modality: Modality, text: str | None = None, columns: Mapping[str, str] | None = None
) -> list[Unlabelled]:
    """Every input as one or many examples, in order.

    A file of rows gives one example a row, from the column `text`, or else the one the model was trained on
    (`columns`, roles to names), or else the one that looks like it; an image or a folder of images gives its
    pictures; anything else is a text itself, for pairs with a tab between the two.
    Raises `DataError` for files that can't be read and for inputs of the wrong kind.
    """
    found: list[Unlabelled] = []
    for entry in inputs:
        path = Path(entry)
        if modality == "image":
            found += _images(path, text, columns or {})
        elif _is(path, Path.is_file) and path.suffix.lower() in FORMATS:
            found += _rows(path, modality, text, columns or {})
        else:
            found.append(_literal(entry, modality))
    if not found:
        raise DataError(f"nothing to predict in {', '.join(inputs)}.")
    return found


def _shown(name: str) -> str:
    """The name as UTF-8 can write it: a file's or an argument's bytes need not be UTF-8."""
    return name.encode("utf-8", "replace").decode()


def _is(path: Path, kind: Callable[[Path], bool]) -> bool:
    try:
        return kind(path)
    except OSError:  # a long text is no path
        return False


def _literal(entry: str, modality: Modality) -> Unlabelled:
    if _shown(entry) != entry:
        raise DataError(f"the text {_shown(entry)[:60]!r} is not UTF-8; convert it, or give a file.")
    if not entry.strip():
        raise DataError("one of the inputs is an empty text.")
    if modality == "text":
        path, suffix = Path(entry), Path(entry).suffix.lower()
        kind = "file" if suffix and _is(path, Path.is_file) else "folder" if _is(path, Path.is_dir) else None
        if kind:
            raise DataError(f"{entry} is a {kind}; give a text itself, or a table of texts ({', '.join(FORMATS)}).")
        known = suffix in FORMATS or suffix in SUFFIXES or difflib.get_close_matches(suffix, FORMATS, cutoff=0.8)
        if known and " " not in entry:
            raise DataError(f"there is no file {entry}.")
        return Unlabelled(entry, entry)
    first, tab, second = entry.partition("\t")
    if not tab:
        raise DataError(f"this model reads pairs of texts; put a tab between the two, or give a file ({entry[:60]!r}).")
    return Unlabelled((first, second), entry)


def _images(path: Path, text: str | None, columns: Mapping[str, str]) -> list[Unlabelled]:
    if path.is_dir():
        files = sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES)
        if not files:
            raise DataError(f"the folder {path} holds no images ({', '.join(sorted(SUFFIXES))}).")
    elif path.suffix.lower() in FORMATS and path.is_file():
        return _rows(path, "image", text, columns)
    elif path.is_file():
        files = [path]
    else:
        raise DataError(f"this model reads images, and there is no file or folder {str(path)[:80]}.")
    return [Unlabelled(ImagePath(file), _shown(str(file))) for file in files]


def _rows(path: Path, modality: Modality, text: str | None, columns: Mapping[str, str]) -> list[Unlabelled]:
    try:
        table = FORMATS[path.suffix.lower()](path)
        sample = table.sample()
        names = find_inputs(sample, str(path), modality, text, [columns[r] for r in columns if r != "label"])
        findings, found = Findings(), []
        for chunk in table.chunks(names, findings):
            for place, *values in zip(chunk.places, *(chunk.columns[name] for name in names)):
                found.append(_row(place, values, modality))
    except OSError as error:
        raise DataError(f"can't read {path}: {error.strerror or error}.") from error
    if findings.left_out:
        raise DataError(f"{path}: {findings.left_out} rows can't be read; mend or remove them.")
    return found


def _row(place: str, values: Sequence[object], modality: Modality) -> Unlabelled:
    if modality == "image":
        (value,) = values
        data = value.get("bytes") if isinstance(value, dict) else value
        if not isinstance(data, (bytes, ImagePath)):
            raise DataError(f"{place} holds no image.")
        return Unlabelled(data, place)
    texts = ["" if value is None else str(value) for value in values]
    return Unlabelled(texts[0], texts[0]) if modality == "text" else Unlabelled((texts[0], texts[1]), "\t".join(texts))
