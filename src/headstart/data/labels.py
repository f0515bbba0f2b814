"""Labels: which kind of target a column is, its class names in order, and the targets as numbers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from headstart.core.errors import DataError
from headstart.data.findings import Findings
from headstart.data.numbers import natural, number
from headstart.data.task import Kind

MISSING, STRING, INTEGER, FLOAT, BOOLEAN, LIST, OTHER = range(7)
_WORDS = {STRING: "text", INTEGER: "number", FLOAT: "number", BOOLEAN: "true/false", LIST: "list", OTHER: "object"}

REGRESSION_OVER = 20
"distinct numbers, not all whole, above which a numeric label is a quantity and not a class"


@dataclass(frozen=True)
class Targets:
    """kind, class names, targets of all rows, and which rows have one that can be used."""

    kind: Kind
    labels: tuple[str, ...]
    values: np.ndarray
    usable: np.ndarray


def build(
    table: pa.Table, training: np.ndarray, column: str, kind: Kind | None, order: Sequence[str], findings: Findings
) -> Targets:
    """Targets of all rows of the store.

    training: [n] bool, the rows whose labels are the ones to learn: rows with other labels are left out and noted.
    order: class names as the source declares them; else they are sorted, numbers by value.
    Raises `DataError` where types conflict, there is one class, or the label can't be of the kind asked for.
    """
    tags = table.column("tag").to_numpy()
    _refuse_conflicts(table, tags, column)
    encoded = table.column("label").combine_chunks().dictionary_encode()
    names, codes = encoded.dictionary.to_pylist(), encoded.indices.to_numpy()
    lists = bool((tags == LIST).any())
    if lists and kind in ("single_label", "regression"):
        raise DataError(f"the labels in {column!r} are lists, which can't be {kind}. Use kind multi_label.")
    if lists or kind == "multi_label":
        return _multi_label(table, names, codes, lists, training, order, findings)
    numbers = [number(name) for name in names]
    numeric = not order and all(value is not None for value in numbers)
    if kind == "regression" or (
        kind is None
        and numeric
        and len(names) > REGRESSION_OVER
        and any(value is not None and not value.is_integer() for value in numbers)
    ):
        return _regression(table, numbers, codes, column, findings)
    if numeric and all(value is not None and value.is_integer() for value in numbers) and not (tags == BOOLEAN).any():
        # Whole numbers that a spreadsheet or pandas wrote as 1.0 are the classes 1, 2, …
        names = [str(int(value)) if "." in name or "e" in name.lower() else name for name, value in zip(names, numbers)]  # type: ignore[arg-type]
    return _single_label(table, names, codes, column, numeric, training, order, findings)


def _refuse_conflicts(table: pa.Table, tags: np.ndarray, column: str) -> None:
    words: dict[str, list[int]] = {}
    for tag in np.unique(tags):
        words.setdefault(_WORDS[int(tag)], []).append(int(tag))
    if len(words) > 1 or "object" in words:
        parts = []
        for word, members in words.items():
            rows = np.flatnonzero(np.isin(tags, members))
            places = table.column("place").take(rows[:5]).to_pylist()
            parts.append(f"{word} in {len(rows):,} ({', '.join(places)})")
        raise DataError(
            f"the labels in {column!r} are not of one type: {'; '.join(parts)}. Write all as text, all as numbers, "
            "or all as lists of texts."
        )


def _single_label(
    table: pa.Table,
    names: list[str],
    codes: np.ndarray,
    column: str,
    numeric: bool,
    training: np.ndarray,
    order: Sequence[str],
    findings: Findings,
) -> Targets:
    if len(names) > REGRESSION_OVER and len(names) > len(codes) / 2:
        advice = "If it is a quantity, use kind regression; else name" if numeric else "Name"
        raise DataError(
            f"the label column {column!r} has {len(names):,} distinct values in {len(codes):,} rows, so most classes "
            f"have one example. {advice} another column with --label."
        )
    labels, place = _known([names[code] for code in np.unique(codes[training])], order)
    if len(labels) < 2:
        raise DataError(
            f"the label column {column!r} has only one class in training ({', '.join(labels)}). There is nothing to "
            "tell apart: add examples of another class, or name another column with --label."
        )
    _spelling(labels, findings)
    lookup = np.array([place.get(name, -1) for name in names], dtype=np.int64)
    values = lookup[codes]
    _unknown(table, values < 0, [names[code] for code in np.unique(codes[values < 0])], findings)
    return Targets("single_label", labels, values, values >= 0)


def _regression(
    table: pa.Table, numbers: list[float | None], codes: np.ndarray, column: str, findings: Findings
) -> Targets:
    with np.errstate(over="ignore"):
        lookup = np.array([np.nan if value is None else value for value in numbers]).astype(np.float32)
    values = lookup[codes]
    usable = np.isfinite(values)
    if not usable.all():
        bad = np.flatnonzero(~usable)
        places = table.column("place").take(bad[:5]).to_pylist()
        if len(bad) > len(values) / 2:
            raise DataError(
                f"kind regression needs numbers in {column!r}, but {len(bad):,} of {len(values):,} rows hold something "
                f"else ({', '.join(places)}). Name another column with --label, or leave the kind out."
            )
        findings.add("missing_label", "error", "{rows} with a label that is no number, left out", places, len(bad))
    if usable.any() and np.ptp(values[usable]) == 0:
        raise DataError(f"every number in {column!r} is {values[usable][0]:g}. There is nothing to predict.")
    return Targets("regression", (), values, usable)


def _multi_label(
    table: pa.Table,
    names: list[str],
    codes: np.ndarray,
    lists: bool,
    training: np.ndarray,
    order: Sequence[str],
    findings: Findings,
) -> Targets:
    if lists:
        sets = [json.loads(name) for name in names]
    else:
        sets = [[part.strip() for part in name.replace(";", "|").split("|") if part.strip()] for name in names]
    seen = {label for code in np.unique(codes[training]) for label in sets[code]}
    labels, place = _known(seen, order)
    if not labels:
        raise DataError("no training row has any label. Write labels as lists, or in CSV as `a|b`.")
    _spelling(labels, findings)
    rows = np.zeros((len(sets), len(labels)), dtype=np.float32)
    known = np.ones(len(sets), dtype=bool)
    for at, members in enumerate(sets):
        for label in members:
            if label in place:
                rows[at, place[label]] = 1.0
            else:
                known[at] = False
    usable = known[codes]
    odd = {label for code in np.unique(codes[~usable]) for label in sets[code]} - seen
    _unknown(table, ~usable, sorted(odd), findings)
    return Targets("multi_label", labels, rows[codes], usable)


def _known(seen: Sequence[str] | set[str], order: Sequence[str]) -> tuple[tuple[str, ...], dict[str, int]]:
    """The class names that training shows, in the declared order or sorted, and their places."""
    found = set(seen)
    labels = tuple(name for name in order if name in found) if order else tuple(natural(list(found)))
    return labels, {name: at for at, name in enumerate(labels)}


def _unknown(table: pa.Table, wrong: np.ndarray, names: Sequence[str], findings: Findings) -> None:
    """Notes the rows whose label training does not show."""
    if wrong.any():
        rows = np.flatnonzero(wrong)
        shown = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
        findings.add(
            "unknown_label",
            "error",
            f"{{rows}} with a label that no training example has ({shown}), left out",
            table.column("place").take(rows[:5]).to_pylist(),
            len(rows),
        )


def _spelling(labels: Sequence[str], findings: Findings) -> None:
    """Notes classes that differ in case or spaces only: mostly one class written two ways."""
    by_form: dict[str, list[str]] = {}
    for label in labels:
        by_form.setdefault(" ".join(label.casefold().split()), []).append(label)
    for same in by_form.values():
        if len(same) > 1:
            message = f"the classes {' and '.join(map(repr, same))} differ in case or spaces only: are they one class?"
            findings.add("label_spelling", "warning", message, count=1)
