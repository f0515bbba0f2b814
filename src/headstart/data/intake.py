"""Intake: from tables to the store. Rows without an input or a label are left out here, each with its place."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pyarrow as pa

from headstart.core.errors import DataError
from headstart.data.columns import Roles
from headstart.data.findings import Findings
from headstart.data.labels import BOOLEAN, FLOAT, INTEGER, LIST, MISSING, OTHER, STRING
from headstart.data.model_input import LONG, model_input
from headstart.data.sources import Splits, split_named
from headstart.data.store import Store, schema
from headstart.data.table import Chunk, Problem, readable

SPLIT_CODES = {"train": 0, "validation": 1, "test": 2}

_MISSING_WORDS = {"", "nan", "NaN", "null", "NULL"}

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
) -> pa.Table:
    """Streams all tables into a store and maps it. Raises `DataError` where no row is usable."""
    pair = roles.modality == "text_pair"
    names = ["input", *(["input_b"] if pair else []), "place", "label", "tag", "group", "split"]
    kept = 0
    with Store(schema(roles.modality, paths), folder) as store:
        for split, tables in splits.items():
            before = kept
            for table in tables:
                for chunk in readable(table, roles.names(), findings):
                    rows = list(_rows(chunk, roles, class_names, SPLIT_CODES[split], findings))
                    if rows:
                        store.write(dict(zip(names, (list(column) for column in zip(*rows)))))
                        kept += len(rows)
                    if progress is not None:
                        progress("reading", kept)
            if kept == before:
                name = ", ".join(table.name for table in tables)
                raise DataError(f"{name}: no row of the {split} split is usable. {findings.errors()}".rstrip())
        return store.open()


def _rows(chunk: Chunk, roles: Roles, class_names: Sequence[str], split: int, findings: Findings) -> Iterator[Row]:
    inputs = [chunk.columns[name] for name in roles.text]
    groups = chunk.columns[roles.group] if roles.group else None
    splits = chunk.columns[roles.split] if roles.split else None
    for at, (place, raw) in enumerate(zip(chunk.places, chunk.columns[roles.label])):
        found = model_input([column[at] for column in inputs], roles.modality)
        if isinstance(found, Problem):
            found.note(place, findings)
            continue
        parts = found if isinstance(found, tuple) else (found,)
        if roles.modality != "image" and max(map(len, parts)) > LONG:
            message = f"{{rows}} longer than {LONG:,} characters: a model reads only their beginning"
            findings.add("long", "warning", message, [place])
        label, tag = _label(raw, class_names)
        if tag == MISSING:
            findings.leave_out("missing_label", "{rows} without a label, left out", place)
            continue
        group = None if groups is None else _group(groups[at])
        where = split if splits is None else _split(splits[at], place, roles.split)
        yield (*parts, place, label, tag, group, where)


def _label(value: Any, class_names: Sequence[str]) -> tuple[str | None, int]:
    """The label as a string and the tag of its type; declared class names take the place of their numbers."""
    if isinstance(value, str):
        value = value.strip()
        return (None, MISSING) if value in _MISSING_WORDS else (value, STRING)
    if value is None:
        return None, MISSING
    if isinstance(value, bool):
        return str(value), BOOLEAN
    if isinstance(value, int):
        if not class_names:
            return str(value), INTEGER
        # -1 is the library's sign for a label that is kept back.
        return (class_names[value], STRING) if 0 <= value < len(class_names) else (None, MISSING)
    if isinstance(value, float):
        return (repr(value), FLOAT) if math.isfinite(value) else (None, MISSING)
    if isinstance(value, (list, tuple)):
        found = [_label(item, class_names)[0] for item in value]
        return json.dumps([item for item in found if item is not None], ensure_ascii=False), LIST
    if isinstance(value, bytes):
        return _label(value.decode("utf-8", "replace"), class_names)
    if hasattr(value, "as_integer_ratio"):  # Decimal
        return _label(float(value), class_names)
    return type(value).__name__, OTHER


def _group(value: Any) -> str | None:
    return None if value is None or value == "" else str(value)


def _split(value: Any, place: str, column: str | None) -> int:
    name = split_named(value) if isinstance(value, str) else None
    if name is None:
        raise DataError(f"{place}: the column {column!r} holds {value!r}. Allowed: train, validation, test.")
    return SPLIT_CODES[name]
