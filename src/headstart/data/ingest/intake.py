"""Intake: streams tables into the store. Rows without an input or a label are left out, with a finding."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa

from headstart.core.errors import DataError
from headstart.core.inputs import INPUT_KINDS
from headstart.data.audit.findings import Findings
from headstart.data.ingest.chats import chat_of, note_chat
from headstart.data.ingest.label_lists import by_name
from headstart.data.ingest.label_types import (
    BOOLEAN,
    CELL,
    FLOAT,
    INTEGER,
    LIST,
    MISSING,
    MISSING_WORDS,
    OTHER,
    STRING,
    has_gap,
)  # fmt: skip
from headstart.data.ingest.model_input import LONG, model_input, note_missing_words
from headstart.data.ingest.store import Store, schema
from headstart.data.tables.columns import Roles
from headstart.data.tables.label_columns import is_signed
from headstart.data.tables.sources import Splits
from headstart.data.tables.split_columns import ALLOWED, flag
from headstart.data.tables.table import Chunk, Problem, Table, readable

SPLIT_CODES = {"train": 0, "validation": 1, "test": 2}

_WHOLE = re.compile(r"-?\d+\.0+", re.ASCII)
"a whole number as pandas writes it if its column has empty cells"

Row = tuple[Any, ...]
Progress = Callable[[str, int], None]


def take_in(
    splits: Splits,
    roles: Roles,
    class_names: Sequence[str],
    paths: bool,
    findings: Findings,
    folder: str | os.PathLike[str] | None,
    progress: Progress | None,
    units: Sequence[str] = (),
) -> tuple[pa.Table, dict[int, int]]:
    """Streams all tables into a mapped store; also returns the splits that have rows, usable or not, each with the
    number of rows of its tables that were not stored.

    units: columns whose hashes are kept, to find rows that may belong together.
    Raises `DataError` if no row is usable.
    """
    pair = INPUT_KINDS[roles.modality].is_pair
    names = ["input", *(["input_b"] if pair else []), "place", "label", "tag", "group", "split", "cluster"]
    names += [f"unit {at}" for at in range(len(units))]
    kept, given = 0, {SPLIT_CODES[split]: 0 for split in splits if split != "train"}
    apart = frozenset(given)
    with Store(schema(roles.modality, paths, len(units)), folder) as store:
        for split, tables in splits.items():
            before, lost = kept, findings.left_out
            own = roles if split == "train" else replace(roles, marks=None)
            wanted = list(dict.fromkeys([*own.names(), *units]))
            for table in tables:
                classes = (declared(table, roles.labels[0]) if roles.labels else ()) or class_names
                if len(roles.labels) > 1:
                    signed = tuple(one.name for one in table.sample() if one.name in roles.labels and is_signed(one))
                    own = replace(own, zeros=(*_with_zeros(table, roles.labels), *signed), signed=signed)
                for chunk in readable(table, wanted, findings):
                    typed = getattr(table, "typed", True)
                    rows = list(_rows(chunk, own, units, classes, SPLIT_CODES[split], given, apart, typed, findings))
                    if rows:
                        store.write(dict(zip(names, (list(column) for column in zip(*rows)))))
                        kept += len(rows)
                    if progress is not None:
                        progress("reading", kept)
            if split != "train":
                given[SPLIT_CODES[split]] = findings.left_out - lost
            if kept == before:
                name = ", ".join(table.name for table in tables)
                raise DataError(f"{name}: no row of the {split} split is usable. {findings.errors()}".rstrip())
        return store.open(), given


def _rows(
    chunk: Chunk, roles: Roles, units: Sequence[str], class_names: Sequence[str], split: int, given: dict[int, int],
    apart: frozenset[int], typed: bool, findings: Findings,
) -> Iterator[Row]:  # fmt: skip
    inputs = [chunk.columns[name] for name in roles.text]
    groups = chunk.columns[roles.group] if roles.group else None
    clusters = chunk.columns[roles.cluster] if roles.cluster else None
    labels = [chunk.columns[name] for name in roles.labels]
    marks = [chunk.columns[name] for name in roles.marks.columns] if roles.marks else []
    for at, place in enumerate(chunk.places):
        marked = [column[at] for column in marks]
        unmarked = roles.marks is not None and not roles.marks.means and marked[0] in (None, "")
        where = SPLIT_CODES[roles.marks.split(marked, place)] if roles.marks and not unmarked else split
        if where != split and where in apart:
            name = next(name for name, code in SPLIT_CODES.items() if code == where)
            message = f"{{rows}} marked as {name}, for which other examples are given, left out"
            findings.leave_out("split", message, place)
            continue
        # before rows are left out, because a test split without labels must not be replaced silently
        given.setdefault(where, 0)
        if roles.chat:
            found: Any = chat_of({name: column[at] for name, column in zip(roles.text, inputs)}, roles.chat)
        else:
            found = model_input([column[at] for column in inputs], roles.modality)
        if isinstance(found, Problem):
            found.note(place, findings)
            continue
        parts = found if isinstance(found, tuple) else (found,)
        if roles.chat:
            note_chat(found, place, findings)
        elif not INPUT_KINDS[roles.modality].is_image and max(map(len, parts)) > LONG:
            message = f"{{rows}} longer than {LONG:,} characters: a model reads only their beginning"
            findings.add("long", "warning", message, [place])
        cells = [column[at] for column in labels]
        label, tag = _read_label(cells, roles, class_names, place)
        tag = CELL if tag == STRING and not typed else tag
        note_missing_words(found, place, findings)
        if any(map(has_gap, cells)):
            message = "{rows} with an empty or missing label in their list, left out"
            findings.leave_out("missing_label", message, place)
            continue
        if tag == MISSING:
            words = "empty, nan or null" if len(cells) == 1 else "an empty cell, nan or -1 in one of the columns"
            findings.leave_out("missing_label", f"{{rows}} without a label ({words}), left out", place)
            continue
        group = None if groups is None else _group(groups[at])
        if roles.marks and unmarked:
            roles.marks.split(marked, place)  # raises
        cluster = None if clusters is None else _group(clusters[at])
        yield (*parts, place, label, tag, group, where, cluster, *(_unit(chunk.columns[name][at]) for name in units))


def _read_label(cells: Sequence[Any], roles: Roles, class_names: Sequence[str], place: str) -> tuple[str | None, int]:
    """Label and tag of a row: of one column, of several with marks, or none, as in conversations."""
    if not cells:
        return "", STRING
    return _label(cells[0], class_names) if len(cells) == 1 else _hot(cells, roles, place)


def declared(table: Table, column: str) -> tuple[str, ...]:
    """The class names that a table declares for the numbers in its label column."""
    return next((one.class_names for one in table.sample() if one.name == column), ())


def _label(value: Any, class_names: Sequence[str]) -> tuple[str | None, int]:
    """The label as a string, and the tag of its type; numbers with declared class names become these."""
    if isinstance(value, str):
        value = value.strip()
        return (None, MISSING) if value in MISSING_WORDS else (value, STRING)
    if value is None:
        return None, MISSING
    if isinstance(value, bool):
        return str(value), BOOLEAN
    if isinstance(value, int):
        if not class_names:
            return str(value), INTEGER
        # -1 is the library's code for a withheld label
        return (class_names[value], STRING) if 0 <= value < len(class_names) else (None, MISSING)
    if isinstance(value, float):
        return (repr(value), FLOAT) if math.isfinite(value) else (None, MISSING)
    if isinstance(value := by_name(value), (list, tuple)):
        found = [_label(item, class_names) for item in value]
        if {LIST, OTHER} & {tag for _, tag in found}:
            return "list", OTHER
        return json.dumps([_typed(*one) for one in found], ensure_ascii=False), LIST
    if isinstance(value, bytes):
        return _label(value.decode("utf-8", "replace"), class_names)
    if hasattr(value, "as_integer_ratio"):  # Decimal
        return _label(float(value), class_names)
    if hasattr(value, "isoformat"):  # dates and times
        return value.isoformat(), STRING
    return type(value).__name__, OTHER


def _typed(name: str | None, tag: int) -> Any:
    """The item of a list in its own type, because 1 and "1" are two."""
    if name is None or tag not in (INTEGER, FLOAT, BOOLEAN):
        return name
    return name == "True" if tag == BOOLEAN else int(name) if tag == INTEGER else float(name)


def _group(value: Any) -> str | None:
    """Normalised name of a group: stripped, `3.0` as `3`; None if missing."""
    text = "" if value is None else str(value).strip()
    return None if text in MISSING_WORDS else text.partition(".")[0] if _WHOLE.fullmatch(text) else text


def _unit(value: Any) -> int:
    """Hash of a group's name, 0 if missing."""
    name = _group(value)
    if name is None:
        return 0
    return int.from_bytes(hashlib.blake2b(name.encode("utf-8", "replace"), digest_size=8).digest(), "big") or 1


def _with_zeros(table: Table, labels: Sequence[str]) -> tuple[str, ...]:
    """The label columns that write a zero, so that an empty cell is none; else only ones (or crosses) are written."""
    return tuple(
        column.name
        for column in table.sample()
        if column.name in labels and any(flag(value) is False and not _unknown(value) for value in column.values)
    )


def _unknown(cell: Any) -> bool:
    return cell is None or cell != cell or str(cell).strip() in MISSING_WORDS or _is_minus(cell)


def _is_minus(cell: Any) -> bool:
    return str(cell).strip() in ("-1", "-1.0")


def _hot(cells: Sequence[Any], roles: Roles, place: str) -> tuple[str | None, int]:
    """Names of the label columns that hold 1, as a list; missing if all cells are, or one that could hold a zero."""
    names = roles.labels
    cells = [0 if name in roles.signed and _is_minus(cell) else cell for name, cell in zip(names, cells)]
    unknown = [_unknown(cell) for cell in cells]
    if all(unknown) or any(gap and name in roles.zeros for name, gap in zip(names, unknown)):
        return None, MISSING
    marks = [False if gap else flag(cell) for cell, gap in zip(cells, unknown)]
    if None in marks:
        odd = marks.index(None)
        raise DataError(f"{place}: the label column {names[odd]!r} holds {cells[odd]!r}. {ALLOWED}.")
    return json.dumps([name for name, on in zip(names, marks) if on], ensure_ascii=False), LIST
