"""Labels: detects the kind of target, orders the class names, and encodes the targets as numbers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from headstart.core.errors import DataError
from headstart.data.audit.findings import Findings, Severity
from headstart.data.ingest.label_lists import (
    SEPARATORS,
    as_list,
    multi_hot,
    refuse_tags,
    refuse_texts,
    refuse_unclear,
    separated,
    share_parts,
    with_choices,
)  # fmt: skip
from headstart.data.ingest.label_names import (
    empty_lists,
    hint_at_quantity,
    merge,
    merge_items,
    merge_whole,
    note_alike,
    note_unknown,
    odd_ones,
    whole,
)
from headstart.data.ingest.label_types import BOOLEAN, LIST, refuse_conflicts
from headstart.data.tables.numbers import MISSING, natural, numbers
from headstart.tasks.task import TASKS, Label

REGRESSION_OVER = 20
"distinct numbers, not all whole, above which a numeric label means regression"


@dataclass(frozen=True)
class Targets:
    """Kind, class names, targets of all rows, and a mask of the usable rows."""

    kind: str
    labels: tuple[str, ...]
    values: np.ndarray
    usable: np.ndarray


def build(
    table: pa.Table, training: np.ndarray, column: str, kind: str | None, order: Sequence[str], findings: Findings
) -> Targets:
    """Targets of all rows of the store.

    training: [n] bool, the rows that define the classes; other rows with other labels are left out, with a finding.
    order: class names declared by the source [default: sorted, numbers by value].
    Raises `DataError` if types conflict, if there is only one class, or if the labels do not fit the given kind.
    """
    tags = table.column("tag").to_numpy()
    encoded = table.column("label").combine_chunks().dictionary_encode()
    names, codes = encoded.dictionary.to_pylist(), encoded.indices.to_numpy()
    refuse_conflicts(table, tags, names, codes, column, kind)
    if kind is not None and (read := _by_kind(kind, table, training, column, names, codes, order, findings)):
        return read
    lists = _lists(names, bool((tags == LIST).all()), kind, column, bool(order), findings)
    if lists is not None and kind not in ("single_label", "regression"):
        lists = merge_items(lists, codes, findings)
        lists = merge_whole(lists, findings) if not order else lists
        return _multi_label(table, lists, codes, training, order, findings)
    empty = np.zeros(len(codes), bool)
    if lists is not None:
        if kind == "regression" or max(map(len, lists), default=0) != 1:
            raise DataError(f"the labels in {column!r} are lists, which can't be {kind}. Use kind multi_label.")
        names = [items[0] if items else "" for items in lists]
        empty = empty_lists(table, lists, codes, "{rows} with an empty list as label, left out", "error", findings)
    names = merge(names, codes, findings)
    known, gone = _without_missing(names)
    learned = {names[code] for code in np.unique(codes[training])}
    values, how = _numbers(known, learned) if not order else ([None] * len(known), "")
    found = dict(zip(known, values))
    numeric = bool(known) and None not in values
    if kind == "regression" or (
        kind is None
        and numeric
        and len(found) > REGRESSION_OVER
        and any(value is not None and not value.is_integer() for value in values)
    ):
        _note_numbers(how, column, findings)
        return _regression(table, names, [found.get(name) for name in names], codes, column, findings)
    lost = (
        np.isin(codes, [at for at, name in enumerate(names) if name in gone]) if numeric else np.zeros(len(codes), bool)
    ) & ~empty
    if lost.any():
        places = table.column("place").take(np.flatnonzero(lost)[:5]).to_pylist()
        words = ", ".join(sorted(gone))
        message = f"{{rows}} whose label is no number ({words}) where the others are, left out"
        findings.add("missing_label", "error", message, places, int(lost.sum()))
    if numeric and not (tags == BOOLEAN).any():
        hint_at_quantity(known, values, column, findings)
        names = whole(names, findings)
    lost |= empty
    return _single_label(table, names, codes, column, numeric, training & ~lost, lost, order, findings)


def _by_kind(
    kind: str, table: pa.Table, training: np.ndarray, column: str, names: list[str], codes: np.ndarray,
    order: Sequence[str], findings: Findings,
) -> Targets | None:  # fmt: skip
    """Targets as the kind itself reads them; None where it leaves that to what follows."""

    def note(what: str, severity: Severity, message: str, rows: np.ndarray) -> None:
        places = table.column("place").take(np.flatnonzero(rows)[:5]).to_pylist()
        findings.add(what, severity, message, places, int(rows.sum()))

    def inputs() -> Iterator[Any]:
        pair = "input_b" in table.column_names
        for batch in table.select(["input", "input_b"] if pair else ["input"]).to_batches():
            columns = [column.to_pylist() for column in batch.columns]
            yield from zip(*columns) if pair else columns[0]

    found = TASKS[kind].targets_of(Label(column, names, codes, training, order, inputs, note))
    return None if found is None else Targets(kind, found.labels, found.values, found.usable)


def _lists(
    names: list[str], tagged: bool, kind: str | None, column: str, declared: bool, findings: Findings
) -> list[list[str]] | None:
    """Items of multi-label cells: lists, lists written as text, or texts with separators."""
    if not tagged:
        refuse_texts(names, column, kind)
    if tagged:
        sets = [list(map(str, json.loads(name))) for name in names]
    elif kind in (None, "multi_label") and (choices := with_choices(names)):
        sets = choices
    elif kind == "multi_label":
        sets = separated(names)
    elif kind is None and names and all(as_list(name) is not None for name in names):
        sets = separated(names)
        findings.add("label_lists", "note", f"the labels in {column!r} are lists written as text", [], len(names))
    else:
        if kind is None:
            refuse_unclear(names, column)
        if kind is None and share_parts(names) and None in numbers(names)[0]:
            such = next(name for name in names if as_list(name) or {*SEPARATORS, ","} & {*name})
            message = f"labels such as {such!r} look like several labels of one row: --kind multi_label reads them so"
            findings.add("label_lists", "note", message, count=1)
        return None
    places = None if declared else multi_hot(sets, column)
    if places is None:
        refuse_tags(sets, column)
        return sets
    message = f"the labels in {column!r} are lists of zeros and ones: classes are called by their place, from 0"
    findings.add("label_lists", "note", message, count=len(names))
    return places


def _without_missing(names: Sequence[str]) -> tuple[list[str], set[str]]:
    """Names without and with words for a missing value."""
    gone = {name for name in names if not name or name.lower() in MISSING}
    known = [name for name in dict.fromkeys(names) if name not in gone]
    return known, gone


def _numbers(known: list[str], learned: set[str]) -> tuple[list[float | None], str]:
    """What the labels write. Those that training does not have never change how its own are read."""
    values, how = numbers(known)
    mine = [name for name in known if name in learned]
    others = [name for name in known if name not in learned]
    ours, way = numbers(mine)
    joint = dict(zip(known, values))
    if not others or (ours == [joint[name] for name in mine] and (None not in values or None in ours)):
        return values, how
    theirs, other_way = numbers(others)
    found = dict(zip([*mine, *others], [*ours, *theirs]))
    ways = [way, f"{other_way} outside of training" if other_way else ""]
    return [found[name] for name in known], ", ".join(filter(None, ways))


def _note_numbers(how: str, column: str, findings: Findings) -> None:
    if how:
        findings.add(
            "label_numbers", "warning", f"the numbers in {column!r} were read with {how}: is that right?", count=1
        )


def _single_label(
    table: pa.Table,
    names: list[str],
    codes: np.ndarray,
    column: str,
    numeric: bool,
    training: np.ndarray,
    lost: np.ndarray,
    order: Sequence[str],
    findings: Findings,
) -> Targets:
    """lost: [n] bool, rows whose label turned out to be missing."""
    distinct = len(set(names))
    if distinct > REGRESSION_OVER and distinct > len(codes) / 2:
        advice = "If it is a quantity, use kind regression; else " if numeric else odd_ones(names)
        raise DataError(
            f"the label column {column!r} has {distinct:,} distinct values in {len(codes):,} rows, so most classes "
            f"have one example. {advice}{'name' if advice else 'Name'} another column with --label."
        )
    labels, place = _known([names[code] for code in np.unique(codes[training])], order)
    if len(labels) < 2:
        raise DataError(
            f"the label column {column!r} has only one class in training ({', '.join(labels)}). There is nothing to "
            "tell apart: add examples of another class, or name another column with --label. "
            f"{findings.errors()}".rstrip()
        )
    note_alike(labels, findings)
    lookup = np.array([place.get(name, -1) for name in names], dtype=np.int64)
    values = lookup[codes]
    strange = (values < 0) & ~lost
    note_unknown(table, strange, [names[code] for code in np.unique(codes[strange])], labels, findings)
    return Targets("single_label", labels, values, (values >= 0) & ~lost)


def _regression(
    table: pa.Table,
    names: Sequence[str],
    numbers: list[float | None],
    codes: np.ndarray,
    column: str,
    findings: Findings,
) -> Targets:
    with np.errstate(over="ignore"):
        exact = np.array([np.nan if value is None else value for value in numbers])
        lookup = exact.astype(np.float32)
    values = lookup[codes]
    usable = np.isfinite(values)
    if not usable.all():
        bad = np.flatnonzero(~usable)
        places = table.column("place").take(bad[:5]).to_pylist()
        shown = ", ".join(repr(names[code]) for code in dict.fromkeys(codes[bad[:5]].tolist()))
        if len(bad) > len(values) / 2:
            raise DataError(
                f"kind regression needs numbers in {column!r}, but {len(bad):,} of {len(values):,} rows hold something "
                f"else: {shown} ({', '.join(places)}). Write plain numbers (1234.5), name another column "
                "with --label, or leave the kind out."
            )
        message = f"{{rows}} with a label that is no number as the others are ({shown}), left out"
        findings.add("missing_label", "error", message, places, len(bad))
    spread = np.ptp(exact[codes][usable]) if usable.any() else 1.0
    if np.abs(exact[codes] - values)[usable].max(initial=0) > spread / 1_000 > 0:
        low, high = exact[codes][usable].min(), exact[codes][usable].max()
        raise DataError(
            f"the numbers in {column!r} lie from {low:.17g} to {high:.17g}, too close together for numbers of 32 bits. "
            "Subtract one number from all."
        )
    if spread == 0:
        raise DataError(f"every number in {column!r} is {values[usable][0]:g}. There is nothing to predict.")
    return Targets("regression", (), values, usable)


def _multi_label(
    table: pa.Table,
    sets: list[list[str]],
    codes: np.ndarray,
    training: np.ndarray,
    order: Sequence[str],
    findings: Findings,
) -> Targets:
    seen = {label for code in np.unique(codes[training]) for label in sets[code]}
    labels, place = _known(seen, order)
    if not labels:
        raise DataError("no training row has any label. Write labels as lists, or in CSV as `a|b`.")
    if max(len(set(items)) for items in sets) < 2:
        message = (
            "no row has more than one label: write several as a|b, a;b or a,b (blanks don't part them). If each row "
            "has one class, use --kind single_label"
        )
        findings.add("label_lists", "warning", message, count=1)
    empty_lists(table, sets, codes, "{rows} with an empty list: an example of none of the classes", "note", findings)
    note_alike(labels, findings)
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
    note_unknown(table, ~usable, sorted(odd), labels, findings)
    return Targets("multi_label", labels, rows[codes], usable)


def _known(seen: Sequence[str] | set[str], order: Sequence[str]) -> tuple[tuple[str, ...], dict[str, int]]:
    """The class names of the training rows, in the declared order or sorted, and their indices."""
    found = set(seen)
    labels = tuple(name for name in order if name in found) if order else tuple(natural(list(found)))
    return labels, {name: at for at, name in enumerate(labels)}
