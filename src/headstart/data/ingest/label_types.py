"""Types of labels as files hold them, and labels of two types in one column, which are refused."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from headstart.core.errors import DataError
from headstart.data.ingest.label_lists import OBJECTS, as_list

MISSING, STRING, INTEGER, FLOAT, BOOLEAN, LIST, OTHER, CELL = range(8)
"tags of a label's type; cells of CSV have none, so that `1` there equals the 1 of JSON and Parquet"
_WORDS = {
    STRING: "text",
    CELL: "text",
    INTEGER: "number",
    FLOAT: "number",
    BOOLEAN: "true/false",
    LIST: "list",
    OTHER: "object",
}
MISSING_WORDS = frozenset({"", "nan", "NaN", "null", "NULL"})


def has_gap(cell: Any) -> bool:
    """True for a list, also one written as text, with an empty or missing item: which label it lacks is unknown."""
    if isinstance(cell, str):
        cell = as_list(cell) if cell.strip()[:1] in ("[", "(", "{") else None
    if not isinstance(cell, (list, tuple)):
        return False
    return any(
        item is None or item != item or (isinstance(item, str) and item.strip() in MISSING_WORDS) for item in cell
    )


def refuse_conflicts(
    table: pa.Table, tags: np.ndarray, names: Sequence[str], codes: np.ndarray, column: str, kind: str | None
) -> None:
    """Raises `DataError` for labels of several types, or lists whose items are: 1 and "1" would become one class.

    tags: [n] of the rows. names, codes: the different labels, and which of them each row has.
    """
    words: dict[str, list[int]] = {}
    scalar = not {LIST, OTHER, STRING} & {*tags.tolist()}
    for tag in np.unique(tags[tags != CELL] if scalar else tags):
        words.setdefault(_WORDS[int(tag)], []).append(int(tag))
    if {*words} == {"object"}:
        raise DataError(OBJECTS.format(column))
    if {*words} == {"text", "list"} and kind == "multi_label":
        return  # a text is a list of one, as Label Studio writes it
    if len(words) > 1:
        rows = {word: np.isin(tags, members) for word, members in words.items()}
        advice = " --kind multi_label reads a text as a list of one." if {*words} == {"text", "list"} else ""
        raise DataError(
            f"the labels in {column!r} are not of one type: {_places(table, rows)}. Write all as text, all as numbers, "
            f"or all as lists of texts.{advice}"
        )
    if {*words} == {"list"}:
        kinds = [{_kind(item) for item in json.loads(name)} for name in names]
        if len(every := sorted(set().union(*kinds))) > 1:
            rows = {word: np.isin(codes, [at for at, kind in enumerate(kinds) if word in kind]) for word in every}
            raise DataError(
                f"the items of the lists in {column!r} are not of one type: {_places(table, rows)}. Write all as "
                "text, or all as numbers."
            )


def _kind(item: Any) -> str:
    return "text" if isinstance(item, str) else "true/false" if isinstance(item, bool) else "number"


def _places(table: pa.Table, rows: Mapping[str, np.ndarray]) -> str:
    """`text in 10 (data.jsonl:1, …); number in 2 (…)` by word. rows: [n] bool."""
    found = {word: np.flatnonzero(which) for word, which in rows.items()}
    places = {word: table.column("place").take(which[:5]).to_pylist() for word, which in found.items()}
    return "; ".join(f"{word} in {len(which):,} ({', '.join(places[word])})" for word, which in found.items())
