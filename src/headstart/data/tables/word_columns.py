"""Which columns hold words and their tags: two lists of as many items in every row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from headstart.core.errors import DataError
from headstart.data.ingest.label_lists import as_list
from headstart.data.tables.table import Column

WORDS = ("words", "tokens", "word", "token")
TAGS = ("tags", "labels", "label", "ner_tags", "tag")


def words_and_tags(
    columns: Sequence[Column], text: Sequence[str], labels: Sequence[str], source: str
) -> tuple[str, str] | None:
    """The columns' names, or None where no such pair is meant. text, labels: those that the user named.

    Raises `DataError` where several columns of tags fit and none is named as they usually are.
    """
    if len(text) > 1 or len(labels) > 1:
        return None
    lists = [column for column in columns if column.kind == "list"]
    words = [column for column in lists if column.name in text or (not text and column.name.lower() in WORDS)]
    if len(words) != 1:
        return None
    held = [column for column in lists if column is not words[0] and _match(words[0], column)]
    if labels:
        return (words[0].name, labels[0]) if labels[0] in {column.name for column in held} else None
    named = [column for name in TAGS for column in held if column.name.lower() == name]
    if named or len(held) == 1:
        return words[0].name, (named or held)[0].name
    if held:
        names = ", ".join(column.name for column in held)
        raise DataError(f"{source}: {names} could each hold the tags of {words[0].name!r}. Name one with --label.")
    return None


def words_alone(columns: Sequence[Column]) -> list[str]:
    """Columns that hold words by their names and their values, for prediction."""
    return [column.name for column in columns if column.kind == "list" and column.name.lower() in WORDS]


def are_single(column: Column) -> bool:
    """True if a column of texts holds words, one a row."""
    return column.kind == "text" and all(len(str(value).split()) < 2 for value in column.values)


def lists_as_text(columns: Sequence[Column]) -> frozenset[str]:
    """Columns of a CSV file whose cells hold words and their tags, as lists written as text."""
    lists = [
        Column(column.name, tuple(map(listed, column.values)))
        for column in columns
        if any(column.values) and all(not cell or as_list(cell) is not None for cell in column.values)
    ]
    words = [column for column in lists if column.name.lower() in WORDS]
    tags = [column for column in lists if len(words) == 1 and column is not words[0] and _match(words[0], column)]
    return frozenset(column.name for column in (*words, *tags)) if tags else frozenset()


def listed(cell: str) -> Any:
    """The list that a cell writes; other cells as they are."""
    found = as_list(cell)
    return cell if found is None else found


def _match(words: Column, tags: Column) -> bool:
    rows = [(a, b) for a, b in zip(words.values, tags.values) if isinstance(a, (list, tuple))]
    fits = [isinstance(b, (list, tuple)) and len(a) == len(b) for a, b in rows]
    return sum(fits) > len(fits) / 2
