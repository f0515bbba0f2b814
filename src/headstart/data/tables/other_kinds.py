"""Tables for other tasks, known by their columns: labelled chats, preferences, spans, exports of annotation tools."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from headstart.data.tables.table import Column

_CLASS = "write the text to be judged into a column text, and its class into a column label"
_CHATS = f"the column {{0!r}} holds chats (lists of messages), which have no label: leave --label out, or {_CLASS}"
_SPANS = "the column {0!r} holds spans of characters: tagging needs a list of words, and a list of as many tags"
_PASSAGES = f"these are questions about passages, without classes: {_CLASS}"
_TAGGED = "of one word a row: write a word and its tag a line, and an empty line between sentences, as a .conll file"
_ITEMS = (
    ({"role", "content"}, _CHATS),
    ({"from", "value"}, _CHATS),
    ({"start", "end"}, _SPANS),
    ({"start_offset", "end_offset"}, _SPANS),
    ({"result"}, "this is a full export of Label Studio: export it as JSON-MIN or CSV, which have a row per text"),
    ({"context", "qas"}, _PASSAGES),
)
"keys of the objects in a list, and what such a table is"
_COLUMNS = (
    ({"context", "question", "answers.text"}, _PASSAGES),
    *(({*two}, f"{two[0]} and {two[1]} are {_TAGGED}") for two in (("word", "tag"), ("token", "tag"), ("word", "pos"))),
    (
        {"chosen", "rejected"},
        f"these are preferred answers (chosen and rejected), without classes: {_CLASS}, or name "
        "the question and the answer to learn with --prompt and --answer",
    ),
)
COCO = (
    "COCO's annotations, which say what lies where in an image, and one answer for a whole image is learned here. "
    "Write a table of file_name and label, or put each image into a folder named after its class"
)


def other_kind(columns: Sequence[Column]) -> str:
    """What a table without input or label is, and what to do, as a sentence; empty if unknown."""
    for column in columns:
        lists = (value for value in column.values if isinstance(value, (list, tuple)) and value)
        first = next((value[0] for value in lists if isinstance(value[0], dict)), {})
        if what := _matching(_ITEMS, first):
            return what.format(column.name)
    for column in columns:
        inner = column.values[0] if len(column.values) == 1 else None
        if isinstance(inner, list) and len(inner) > 1 and isinstance(inner[0], (dict, list)):
            return f"it has a single row, whose {column.name!r} may hold the rows: write that list alone into a file."
    return _matching(_COLUMNS, {column.name.lower() for column in columns})


def _matching(kinds: Sequence[tuple[set[str], str]], names: Collection[str]) -> str:
    return next((f"{what}." for needed, what in kinds if needed <= set(names)), "")


def is_coco(names: Collection[str]) -> bool:
    """True if an object of tables has these of COCO."""
    return {"images", "annotations"} <= set(names)
