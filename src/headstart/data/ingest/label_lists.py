"""Multi-label cells: lists, lists written as text, multi-hot lists, names with separators."""

from __future__ import annotations

import ast
import contextlib
import json
import re
from collections.abc import Sequence
from typing import Any

from headstart.core.errors import DataError

SEPARATORS = "|;\n"
OBJECTS = (
    "the labels in {0!r} are objects or lists that hold more than texts and numbers. Write each as a text, a number, "
    "or a list of texts; spans of a text as a list of its words and a list of as many tags."
)
_PLACED = {"start", "end", "start_offset", "end_offset", "bbox", "role", "from"}
"keys of spans, boxes and messages"
_TAGS = re.compile(r"(O|[BIESLU]-\S+)(\s+(O|[BIESLU]-\S+))+")
"tags of words, as IOB and its kin write them"
_ON, _OFF = {"1", "1.0", "true"}, {"0", "0.0", "false"}
_TOKEN = re.compile(r"""'[^']*'|"[^"]*"|[^\s,\[\](){}]+""")
_BARE_GAP = re.compile(r"""['"]\s+['"]""")
"between two texts of a printed numpy array, which Python would concatenate"


def as_list(text: str) -> list[str] | None:
    """Items of a list written by JSON, Python, numpy or Postgres, else None: `["a"]`, `['a', 'b']`, `[1 0]`, `{a,b}`.

    A missing item is `""`. Label Studio writes several choices as `{"choices": ["a", "b"]}`.
    """
    bare = text.strip()
    if bare == "set()":
        return []
    if len(bare) < 2 or bare[0] + bare[-1] not in ("[]", "()", "{}"):
        return None
    value = _parsed(bare)
    if value is None and (bare[0] == "[" or (bare[0] == "{" and ":" not in re.sub('"[^"]*"', "", bare))):
        value = [None if token == "None" else token.strip("'\"") for token in _TOKEN.findall(bare)]
    value = [] if value == {} else by_name(chosen(value))
    if not isinstance(value, (list, tuple, set, frozenset)) or any(isinstance(i, (list, dict, tuple)) for i in value):
        return None
    items = sorted(value, key=str) if isinstance(value, (set, frozenset)) else value
    return ["" if item is None else str(item).strip() for item in items]


def _parsed(bare: str) -> Any:
    """What a text writes by JSON or Python; None if it is neither."""
    try:
        return json.loads(bare)
    except (ValueError, RecursionError):
        pass
    if not _BARE_GAP.search(bare):
        with contextlib.suppress(ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
            return ast.literal_eval(bare)
    return None


def chosen(value: Any) -> Any:
    """The list of an object that holds nothing but `choices`, as Label Studio writes several labels of one row."""
    return value["choices"] if isinstance(value, dict) and [*value] == ["choices"] else value


def by_name(value: Any) -> Any:
    """The names of a list of objects that each have one, as TMDB writes genres; spans are no such objects."""
    if not isinstance(value, (list, tuple)) or not value or not all(isinstance(one, dict) for one in value):
        return value
    named = all(isinstance(one.get("name"), str) and not _PLACED & {*one} for one in value)
    return [one["name"] for one in value] if named else value


def with_choices(names: Sequence[str]) -> list[list[str]] | None:
    """The labels of Label Studio's CSV: one choice is a text, whole, and several are an object; None elsewhere."""
    if not any(name.lstrip().startswith("{") and [*(_parsed(name.strip()) or ())] == ["choices"] for name in names):
        return None
    lists = [as_list(name) for name in names]
    return [[name] if items is None else items for name, items in zip(names, lists)]


def separated(names: Sequence[str]) -> list[list[str]]:
    """Splits each name at `|` or `;` if any name has one, else at commas; a list as text is parsed.

    Text in double quotes is one part, and so is a name that is an item of one of the lists.
    """
    lists = [as_list(name) for name in names]
    rest = [name for name, items in zip(names, lists) if items is None]
    known = {item for items in lists if items is not None for item in items}
    bare = [re.sub('"[^"]*"', "", name) for name in rest if name not in known]
    signs = SEPARATORS if any(sign in name for name in bare for sign in SEPARATORS) else ","
    return [
        items if items is not None else [name.strip()] if name.strip() in known else _parts(name, signs)
        for name, items in zip(names, lists)
    ]


def _parts(name: str, signs: str) -> list[str]:
    """The parts between the signs; one in double quotes, as CSV writes it, may hold them."""
    pattern = rf'\s*"((?:[^"]|"")+)"\s*(?:[{signs}]|$)|([^{signs}]*)(?:[{signs}]|$)'
    found = [quoted.replace('""', '"') or plain for quoted, plain in re.findall(pattern, name)]
    return [part.strip() for part in found if part.strip()]


def multi_hot(sets: Sequence[Sequence[str]], column: str) -> list[list[str]] | None:
    """Multi-hot lists of one length as the places of their ones; None if the items are names.

    Raises `DataError` for such lists of several lengths, and for lists of fractions (soft labels).
    """
    marks = [[item.lower() for item in items] for items in sets]
    lengths = {len(items) for items in marks}
    if all(mark in _ON | _OFF for items in marks for mark in items) and max(lengths, default=0) > 1:
        if len(lengths) == 1:
            return [[str(at) for at, mark in enumerate(items) if mark in _ON] for items in marks]
        if any(len(set(items)) < len(items) for items in marks):
            raise DataError(
                f"the labels in {column!r} are lists of zeros and ones with {min(lengths)} to {max(lengths)} items. "
                "Multi-hot labels need one item per class in every row."
            )
    if lengths != {1} and len(lengths) == 1 and _are_fractions(marks):
        raise DataError(
            f"the labels in {column!r} are lists of fractions (soft labels), which can't be learned here. Give class "
            "names, or zeros and ones."
        )
    return None


def refuse_tags(sets: Sequence[Sequence[str]], column: str) -> None:
    """Raises `DataError` if most lists hold an item twice, as tags of words do and sets of labels don't."""
    if 2 * sum(len(set(items)) < len(items) for items in sets) > len(sets):
        raise DataError(
            f"the labels in {column!r} repeat within a row, as the tags of words do. Tagging needs the words as a list "
            "too, in a column called words; for several labels a row, write each once."
        )


def refuse_texts(names: Sequence[str], column: str, kind: str | None) -> None:
    """Raises `DataError` if most labels are objects or tags of words written as text, which would become classes."""
    odd = [name for name in names if name.lstrip().startswith(("{", "[")) and as_list(name) is None]
    if 2 * sum(_parsed(name.strip()) is not None for name in odd) > len(names):
        raise DataError(OBJECTS.format(column))
    tags = [name for name in names if _TAGS.fullmatch(name.strip())]
    if 2 * len(tags) > len(names) and any("-" in name for name in tags) and kind != "single_label":
        raise DataError(
            f"the labels in {column!r} look like the tags of words ({tags[0][:40]!r}). Write words and tags as lists "
            "of as many items, or a word and its tag a line, and an empty line between sentences, as a .conll file; to "
            "learn them as classes, use --kind single_label."
        )


def refuse_unclear(names: Sequence[str], column: str) -> None:
    """Raises `DataError` for `14,27` where 14 and 27 are labels too: a decimal, or two classes?"""
    parts = {name: [part.strip() for part in name.split(",")] for name in names}
    several = {name: found for name, found in parts.items() if len(found) > 1}
    alone = {*names} - {*several}
    plain = all(part.isdigit() for found in several.values() for part in found)
    twice = any(len({*found}) < len(found) for found in several.values())  # 3,3 is no list of classes
    if plain and not twice and 0 < len(several) <= 2 * sum(alone.issuperset(found) for found in several.values()):
        such = next(name for name, found in several.items() if alone.issuperset(found))
        raise DataError(
            f"labels such as {such!r} in {column!r} could be several classes of one row, or decimals: "
            f"{' and '.join(parts[such])} are labels by themselves too. Say --kind multi_label or --kind regression."
        )


def _are_fractions(marks: Sequence[Sequence[str]]) -> bool:
    try:
        values = [float(mark) for items in marks for mark in items]
    except ValueError:
        return False
    return bool(values) and all(0 <= value <= 1 for value in values) and any(0 < value < 1 for value in values)


def share_parts(names: Sequence[str]) -> bool:
    """True if names look like several labels: a part is a name, there are fewer parts than names, or lists."""
    if any(map(as_list, names)):
        return True
    parts = {name: [part.strip() for part in re.split(f"[{SEPARATORS},]", name)] for name in names}
    several = {part for found in parts.values() if len(found) > 1 for part in found}
    every = {part for found in parts.values() for part in found}
    return bool(several & set(names)) or (bool(several) and len(every) < len(parts))
