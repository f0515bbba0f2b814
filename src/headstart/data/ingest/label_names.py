"""Class names: equal spellings are merged, similar ones give findings."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from headstart.data.audit.findings import Findings, Severity
from headstart.data.ingest.look_alike import alike, merged, spelled
from headstart.data.tables.numbers import MISSING, number, numbers

MANY_WHOLE = 10
"number of distinct whole-number classes from which they could be a quantity"


def merge(names: list[str], codes: np.ndarray, findings: Findings) -> list[str]:
    """Merges names that are equal by Unicode into their most frequent spelling."""
    counts = dict(zip(names, np.bincount(codes, minlength=len(names)).tolist()))
    same = merged(counts)
    for name in sorted({*same.values()}):
        others = ", ".join(spelled(other) for other in same if same[other] == name and other != name)
        message = f"the class {name!r} is written in several ways that look the same: {others} counted to it"
        findings.add("label_spelling", "warning", message, count=1)
    return [same.get(name, name) for name in names]


def merge_items(sets: list[list[str]], codes: np.ndarray, findings: Findings) -> list[list[str]]:
    items = sorted({item for items in sets for item in items})
    place = {item: at for at, item in enumerate(items)}
    counted = [place[item] for code in codes.tolist() for item in sets[code]]
    kept = dict(zip(items, merge(items, np.array(counted, dtype=np.int64), findings)))
    return [[kept[item] for item in items] for items in sets]


def merge_whole(sets: list[list[str]], findings: Findings) -> list[list[str]]:
    """Of lists of numbers, 1.0 becomes 1 as it does of single labels."""
    items = sorted({item for items in sets for item in items})
    if any(number(item) is None for item in items):
        return sets
    kept = dict(zip(items, whole(items, findings)))
    return [[kept[item] for item in items] for items in sets]


def note_alike(labels: Sequence[str], findings: Findings) -> None:
    """Findings on classes that differ only in case, blanks or look-alike letters, whose names lost signs, or that are
    named like a missing value."""
    for same in alike(labels):
        plain = len({" ".join(label.lower().split()) for label in same}) == 1
        how = "differ in case or spaces only" if plain else "look the same but are written with other signs"
        names = " and ".join(map(repr if plain else spelled, same))
        findings.add("label_spelling", "warning", f"the classes {names} {how}: are they one class?", count=1)
    odd = [label for label in labels if label.lower() in MISSING - {"none", "missing", "unknown", "."}]
    if odd:
        message = f"the class {odd[0]!r} is named like a missing value: if it is one, leave its cells empty"
        findings.add("label_spelling", "note", message, count=1)
    lost = [label for label in labels if "\ufffd" in label]
    if lost:
        message = (
            f"the class {lost[0]!r} holds U+FFFD, the sign for lost bytes: different names may have become one. Save "
            "the file as UTF-8"
        )
        findings.add("label_spelling", "error", message, count=len(lost))


def note_unknown(
    table: pa.Table, wrong: np.ndarray, names: Sequence[str], labels: Sequence[str], findings: Findings
) -> None:
    """Findings on rows whose label is missing in training, with the most similar training label."""
    if wrong.any():
        rows = np.flatnonzero(wrong)
        shown = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
        twins = [
            same
            for same in alike(dict.fromkeys([*labels, *names]))
            if set(same) & set(names) and set(same) & set(labels)
        ]
        hint = (
            "; " + ", ".join(" looks like ".join(map(spelled, reversed(same))) for same in twins[:3]) if twins else ""
        )
        findings.add(
            "unknown_label",
            "error",
            f"{{rows}} with a label that no training example has ({shown}), left out{hint}",
            table.column("place").take(rows[:5]).to_pylist(),
            len(rows),
        )


def empty_lists(
    table: pa.Table, sets: list[list[str]], codes: np.ndarray, message: str, severity: Severity, findings: Findings
) -> np.ndarray:
    """[n] bool, the rows without any label, with a finding."""
    found = np.isin(codes, [at for at, items in enumerate(sets) if not items])
    if found.any():
        places = table.column("place").take(np.flatnonzero(found)[:5]).to_pylist()
        findings.add(
            "missing_label" if severity == "error" else "label_lists", severity, message, places, int(found.sum())
        )
    return found


def whole(names: list[str], findings: Findings) -> list[str]:
    """Merges whole numbers written as 1.0 by a spreadsheet or pandas with 1; codes such as 010 or 1e1 stay separate."""
    plain = re.compile(r"-?(0|[1-9]\d*)(\.0+)?", re.ASCII)
    if not all(plain.fullmatch(name) for name in names if name and name.lower() not in MISSING):
        same: dict[float | None, list[str]] = {}
        for name in dict.fromkeys(names):
            same.setdefault(number(name), []).append(name)
        for value, spellings in same.items():
            if len(spellings) > 1 and value is not None:
                both = " and ".join(map(repr, spellings))
                message = f"the classes {both} are one number written in several ways: kept apart"
                findings.add("label_spelling", "warning", message, count=1)
        return names
    short = [name.partition(".")[0] for name in names]
    double = sorted({new for old, new in zip(names, short) if old != new} & set(names))
    if double:
        message = f"the classes {', '.join(f'{name} and {name}.0' for name in double[:5])} were taken as one each"
        findings.add("label_spelling", "note", message, count=len(double))
    return short


def hint_at_quantity(names: Sequence[str], values: Sequence[float | None], column: str, findings: Findings) -> None:
    """Findings on numbers that are taken as classes but could be a quantity."""
    whole = all(value is not None and value.is_integer() for value in values)
    if len(names) > (MANY_WHOLE if whole else 2):
        message = (
            f"the {len(names):,} numbers in {column!r} are taken as classes; if they are a quantity, use --kind "
            "regression"
        )
        findings.add("label_numbers", "note", message, count=1)


def odd_ones(names: Sequence[str]) -> str:
    """Message about words among mostly numeric labels, because they turn all labels into classes."""
    every = list(dict.fromkeys(names))
    odd = [name for name, value in zip(every, numbers(every)[0]) if value is None]
    if len(odd) > len(set(names)) / 10:
        figures = sum(bool(re.match(r"\D{0,4}\d", name)) for name in odd)
        advice = "If they are quantities, write plain numbers (1234.5), all in one way and without units; else "
        return advice if figures > len(odd) / 2 else ""
    if not odd:
        return ""
    shown = ", ".join(map(repr, odd[:5]))
    return f"All but {shown} are numbers: correct those rows, or use kind regression, which leaves them out; else "
