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
from headstart.data.sources import Splits, split_named
from headstart.data.store import Store, schema
from headstart.data.table import Chunk, ImagePath

LONGEST = 1_000_000
"characters; longer texts are left out: no model reads them, and they are mostly a quote left open"
LONG = 100_000
"characters; longer texts are kept with a warning"
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
                for chunk in table.chunks(roles.names(), findings):
                    rows = list(_rows(chunk, roles, class_names, SPLIT_CODES[split], findings))
                    if rows:
                        store.write(dict(zip(names, (list(column) for column in zip(*rows)))))
                        kept += len(rows)
                    if progress is not None:
                        progress("reading", kept)
            if kept == before:
                name = ", ".join(table.name for table in tables)
                raise DataError(f"{name}: no row of the {split} split is usable. {explain(findings)}".rstrip())
        return store.open()


def explain(findings: Findings) -> str:
    """The errors found, for a message: `2 rows without a label, left out (a.csv:2, a.csv:3).`"""
    errors = [finding for finding in findings.records() if finding.severity == "error"]
    return " ".join(f"{e.message} ({', '.join(e.examples)})." for e in errors[:4])


def _rows(chunk: Chunk, roles: Roles, class_names: Sequence[str], split: int, findings: Findings) -> Iterator[Row]:
    firsts = chunk.columns[roles.text[0]]
    seconds = chunk.columns[roles.text[1]] if len(roles.text) == 2 else None
    groups = chunk.columns[roles.group] if roles.group else None
    splits = chunk.columns[roles.split] if roles.split else None
    for at, (place, value, raw) in enumerate(zip(chunk.places, firsts, chunk.columns[roles.label])):
        inputs = [value] if seconds is None else [value, seconds[at]]
        if roles.modality == "image":
            if not isinstance(value, (bytes, ImagePath)) or not value:
                findings.leave_out("unreadable", "{rows} without an image, left out", place)
                continue
        else:
            inputs = [_text(item) for item in inputs]
            if not _usable(inputs, place, findings):
                continue
        label, tag = _label(raw, class_names)
        if tag == MISSING:
            findings.leave_out("missing_label", "{rows} without a label, left out", place)
            continue
        group = None if groups is None else _group(groups[at])
        where = split if splits is None else _split(splits[at], place, roles.split)
        yield (*inputs, place, label, tag, group, where)


def _usable(texts: list[Any], place: str, findings: Findings) -> bool:
    if any(text is None for text in texts):
        findings.leave_out("malformed", "{rows} with a list or an object instead of a text, left out", place)
        return False
    if not all(text and not text.isspace() for text in texts):
        findings.leave_out("empty", "{rows} without text, left out", place)
        return False
    longest = max(map(len, texts))
    if longest > LONGEST:
        message = f"{{rows}} longer than {LONGEST:,} characters, left out: a quote may be left open there"
        findings.leave_out("long", message, place)
        return False
    if longest > LONG:
        message = f"{{rows}} longer than {LONG:,} characters: a model reads only their beginning"
        findings.add("long", "warning", message, [place])
    return True


def _text(value: Any) -> str | None:
    if isinstance(value, str):
        return value
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, (bool, int, float)):
        return str(value)
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else None


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
