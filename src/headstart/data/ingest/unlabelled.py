"""Unlabelled inputs of `predict`: texts, files of texts, images, folders of images.

`stream` reads all inputs of a prediction, with the readers and the check (`model_input`) of training, in the order of
the files. A row that can't be used keeps its place and has a `problem`.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from headstart.core.chat import Chat
from headstart.core.errors import DataError
from headstart.core.inputs import INPUT_KINDS
from headstart.data.audit.findings import Findings
from headstart.data.examples import Input
from headstart.data.images.files import Passed, image_files
from headstart.data.images.formats import SUFFIXES
from headstart.data.images.paths import refuse_missing, with_images
from headstart.data.ingest.chats import chat_of, note_chat, question_columns
from headstart.data.ingest.model_input import EMPTY, model_input, note_missing_words
from headstart.data.tables.columns import find_inputs
from headstart.data.tables.formats import ADVICE, FORMATS, NO_PIPES, format_of, reader_of, table_of
from headstart.data.tables.near import at_home, did_you_mean
from headstart.data.tables.table import Column, ImagePath, Problem, Table
from headstart.tasks.task import Modality


@dataclass(frozen=True)
class Unlabelled:
    """One row to predict.

    value: the model's input, images of files as paths because all would not fit into memory; None if unusable.
    name: the row in the output: the text, or the image's place.
    place: `reviews.csv:17` for a row of a file, the path of an image, empty for a text argument.
    problem: reason why the row is unusable, else empty.
    columns: cells of the row by column, images as paths; empty outside of tables.
    """

    value: Input | None
    name: str
    place: str = ""
    problem: str = ""
    columns: Mapping[str, Any] = field(default_factory=dict)


def stream(
    inputs: Sequence[str],
    modality: Modality,
    text: str | None,
    columns: Mapping[str, str],
    findings: Findings,
) -> Iterator[Unlabelled]:
    """Yields the rows of all inputs in order; files are read lazily.

    A table gives its rows, from the column `text`, else from the column of the training (`columns`, names by role),
    else from a detected one; an image or a folder gives images; anything else is a text, for pairs with a tab between.
    findings: collects the readers' notes (other encodings, repaired rows), to be shown to the user. Raises `DataError`
    for unreadable files and for inputs of the wrong kind.
    """
    for entry in map(at_home, inputs):
        path = Path(entry)
        if not entry:  # as a path it would be the working directory
            raise DataError("one of the inputs is an empty text.")
        if _is_table(path):
            yield from _rows(path, modality, text, columns, findings)
        elif INPUT_KINDS[modality].is_image:
            yield from _images(entry, findings)
        else:
            yield _literal(entry, modality)


def columns_of(inputs: Sequence[str]) -> list[str]:
    """Columns of all tables in order, without those of bytes; first `input`, if some rows come from no table."""
    found: dict[str, None] = {}
    for entry in map(at_home, inputs):
        path, own = Path(entry), list[str]()
        if _is_table(path):
            table = _table(path)
            own = [column.name for column in table.sample() if not _holds_bytes(column)]
        found |= dict.fromkeys(own or ["input"])
    return list(found)


def unlabelled(
    inputs: Sequence[str], modality: Modality, text: str | None = None, columns: Mapping[str, str] | None = None
) -> list[Unlabelled]:
    """All rows of `stream`. Raises `DataError` if one is unusable, or if there are none."""
    found = []
    for row in stream(inputs, modality, text, columns or {}, Findings()):
        if row.problem:
            raise DataError(f"{row.place} can't be used, {row.problem}; correct or remove it.")
        found.append(row)
    if not found:
        raise DataError(f"nothing to predict in {', '.join(inputs)}.")
    return found


def _shown(name: str) -> str:
    """The name as valid UTF-8, because names of files and arguments may hold other bytes."""
    return name.encode("utf-8", "replace").decode()


def _is(path: Path, kind: Callable[[Path], bool]) -> bool:
    try:
        return kind(path)
    except OSError:  # raised for a text that is too long for a path
        return False


def _is_table(path: Path) -> bool:
    return _is(path, Path.is_file) and reader_of(path) is not None


def _table(path: Path) -> Table:
    """The file's table; rows are answered each by itself, even if most are broken."""
    table: Any = table_of(path)
    table.lenient = True
    return with_images(table, splits=False)


def _literal(entry: str, modality: Modality) -> Unlabelled:
    if _shown(entry) != entry:
        raise DataError(f"the text {_shown(entry)[:60]!r} is not UTF-8; convert it, or give a file.")
    if model_input([entry], "text") == EMPTY:
        raise DataError("one of the inputs is an empty text.")
    if entry == "-" or (_is(Path(entry), Path.exists) and not _is_file_or_folder(Path(entry))):
        raise DataError(f"{entry}: {NO_PIPES}; write the texts into a file, and give that.")
    if "\t" not in entry or not INPUT_KINDS[modality].is_pair:
        path, suffix = Path(entry), Path(entry).suffix.lower()
        kind = "file" if _is(path, Path.is_file) else "folder" if _is(path, Path.is_dir) else None
        if kind:
            what = ADVICE.get(suffix) or ("an image, and this model reads texts" if suffix in SUFFIXES else "")
            what = f" ({what})" if kind == "file" and what else ""
            raise DataError(
                f"{entry} is a {kind}{what}; give a text itself, or a table of texts ({', '.join(FORMATS)})."
            )
        known = {format_of(path), suffix} & {*FORMATS, *SUFFIXES, *ADVICE}
        if " " not in entry and "://" in entry and known:
            raise DataError(f"addresses are not read: download {entry}, and give the file.")
        near = did_you_mean(path, cutoff=0.8) if known else ""
        # because `my file.csv` could also be a text
        if near or (" " not in entry and (known or difflib.get_close_matches(suffix, FORMATS, cutoff=0.8))):
            raise DataError(f"there is no file {entry}.{near}")
        if not INPUT_KINDS[modality].is_pair:
            value = model_input([entry], modality)
            assert isinstance(value, str)
            return Unlabelled(value, entry if isinstance(value, Chat) else value)
    found = model_input(entry.split("\t"), modality)
    if isinstance(found, Problem):
        raise DataError(
            f"this model reads pairs of texts; put one tab between the two, or give a file ({entry[:60]!r})."
        )
    return Unlabelled(found, entry)


def _is_file_or_folder(path: Path) -> bool:
    return _is(path, Path.is_file) or _is(path, Path.is_dir)


def _images(entry: str, findings: Findings) -> Iterator[Unlabelled]:
    path = Path(entry)
    if path.is_dir():
        passed = Passed()
        files = list(map(Path, image_files(path, passed)))
        passed.note(findings)
        if not files:
            raise DataError(f"the folder {path} holds no images ({', '.join(sorted(SUFFIXES))}).")
    elif path.is_file():
        files = [path]
    else:
        advice = " Addresses are not read: download the image." if "://" in entry else did_you_mean(path)
        raise DataError(f"this model reads images, and there is no file or folder {_shown(entry)[:80]}.{advice}")
    for file in files:
        yield Unlabelled(ImagePath(file), _shown(str(file)), _shown(str(file)))


def _rows(
    path: Path, modality: Modality, text: str | None, trained: Mapping[str, str], findings: Findings
) -> Iterator[Unlabelled]:
    table = _table(path)
    sample = table.sample()
    expected = [trained[role] for role in trained if role in INPUTS]
    if INPUT_KINDS[modality].is_image and not any(column.kind == "image" for column in sample):
        for column in sample:
            refuse_missing(column, str(path), path.parent)
    asked = question_columns(sample, str(path), text, trained) if INPUT_KINDS[modality].chat else None
    inputs = list(asked.names()) if asked else find_inputs(sample, str(path), modality, text, expected)
    if text is None and not INPUT_KINDS[modality].is_image and expected and inputs != expected:
        read, meant = (" and ".join(map(repr, names)) for names in (inputs, expected))
        findings.add("columns", "note", f"read from {read}, where the model was trained on {meant}", [table.name])
    names = [column.name for column in sample]
    if unwritten := [column.name for column in sample if _holds_bytes(column)]:
        message = f"the output has no column {' and '.join(map(repr, unwritten))}, which holds bytes or whole images"
        findings.add("columns", "note", message, [table.name])
        names = [name for name in names if name not in unwritten or name in inputs]
    try:
        for chunk in table.chunks(names, findings):
            for at, place in enumerate(chunk.places):
                cells = {name: chunk.columns[name][at] for name in names}
                if asked:
                    found: Input | Problem = chunk.problems.get(at) or chat_of(cells, asked, answered=False)
                else:
                    found = chunk.problems.get(at) or model_input([cells[name] for name in inputs], modality)
                if isinstance(found, Chat):
                    note_chat(found, place, findings)
                elif not isinstance(found, Problem):
                    note_missing_words(found, place, findings)
                yield _row(found, place, cells, inputs, modality)
    except OSError as error:
        raise DataError(f"can't read {path}: {error.strerror or error}.") from error


INPUTS = ("text", "text_b", "image")
"roles of input columns"


def _row(
    found: Input | Problem, place: str, cells: Mapping[str, Any], inputs: Sequence[str], modality: Modality
) -> Unlabelled:
    others = {name: shown for name, value in cells.items() if not isinstance(shown := _shown_cell(value), bytes)}
    if isinstance(found, Problem):
        shown = place if INPUT_KINDS[modality].is_image else "\t".join(_cell(cells[name]) for name in inputs)
        return Unlabelled(None, shown, place, str(found), others)
    shown = place if INPUT_KINDS[modality].is_image else found if isinstance(found, str) else "\t".join(map(str, found))
    return Unlabelled(found, shown, place, "", others)


def _holds_bytes(column: Column) -> bool:
    """True for a column of bytes, or of images as base64 or objects, which `_row` leaves out."""
    return column.kind == "image" and any(isinstance(_shown_cell(value), bytes) for value in column.values)


def _shown_cell(value: Any) -> Any:
    """A cell for the output: the path of an image as in the table, or its bytes."""
    if isinstance(value, ImagePath):
        return getattr(value, "given", str(value))
    return value["bytes"] or value.get("path") if isinstance(value, dict) and "bytes" in value else value


def _cell(value: Any) -> str:
    return "" if value is None else _shown(str(value))
