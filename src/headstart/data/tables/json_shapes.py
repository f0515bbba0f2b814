"""JSON layouts of tables: arrays of objects, columns, pandas' orients, rows under `data`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from headstart.data.ingest.label_lists import chosen

NAMES = ("data", "rows", "records", "examples", "items", "instances", "results")
"keys of an object that hold its rows"
FEWEST = 9
"names of rows beyond which an object of like objects is a table, and no single row"


def documents(text: str) -> Iterator[Any]:
    """All JSON values of a text in order, separated by white space or commas."""
    decoder, at = json.JSONDecoder(), 0
    while True:
        while at < len(text) and (text[at].isspace() or text[at] == ","):
            at += 1
        if at >= len(text):
            return
        value, at = decoder.raw_decode(text, at)
        yield value


def is_messages(value: Any) -> bool:
    """True for a conversation: OpenAI's or ShareGPT's list of messages."""
    return (
        isinstance(value, (list, tuple))
        and bool(value)
        and all(isinstance(one, Mapping) and ({"role", "from"} & {*one}) for one in value)
    )


def is_table(value: Any) -> bool:
    """True if `rows` finds a table in the object."""
    return isinstance(value, Mapping) and rows(value) is not None


def rows(value: Any) -> list[Any] | None:
    """Rows of a value that holds a table, else None.

    `[{…}, …]`; `{"data": [{…}, …]}` with other keys beside it; `{"columns": […], "data": [[…], …]}` (pandas' split);
    `{"data": [{"paragraphs": […]}, …]}` (SQuAD, a row a question);
    `{"text": […], "label": […]}` and `{"text": {"0": …}, …}` (columns); `{"0": {"text": …}, …}` (pandas' index).
    """
    if isinstance(value, list):
        return value
    if not isinstance(value, Mapping) or not value or any(map(is_messages, value.values())):
        return None
    names, table = value.get("columns"), value.get("data")
    if isinstance(names, list) and isinstance(table, list) and all(isinstance(row, list) for row in table):
        return [dict(zip(map(str, names), row)) if len(row) == len(names) else row for row in table]
    for name in NAMES:
        inner = value.get(name)
        if isinstance(inner, list) and (not inner or isinstance(inner[0], Mapping)):
            return list(questions(inner))
    if len(splits_in(value)) > 1:
        return None
    columns = list(value.values())
    if len(columns) > 1 and all(isinstance(column, list) for column in columns) and len({*map(len, columns)}) == 1:
        return [dict(zip(value, row)) for row in zip(*columns)]
    if all(isinstance(column, Mapping) and column for column in columns):
        keys = [list(column) for column in columns]
        same = len(columns) > 1 and all(key == keys[0] for key in keys)
        by_name = same and max(len(keys), len(keys[0])) > FEWEST  # then there are more rows than columns
        if same and (all(map(_is_index, keys[0])) or (by_name and len(keys[0]) > len(keys))):
            return [{name: column[key] for name, column in value.items()} for key in keys[0]]
        if by_name or all(map(_is_index, value)):
            return columns
    return None


def questions(articles: list[Any]) -> Iterator[Any]:
    """SQuAD's articles of paragraphs of questions as one row a question; other rows as they are."""
    for article in articles:
        if not isinstance(article, Mapping) or not isinstance(article.get("paragraphs"), list):
            yield article
            continue
        title = {name: article[name] for name in ("title",) if name in article}
        for paragraph in article["paragraphs"]:
            for asked in paragraph.get("qas") or ():
                yield {**title, "context": paragraph.get("context"), **asked}


def flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """Flattens a row: `{"review": {"text": …}}` gets the column `review.text`.

    An object with `bytes` is an image and is kept; one of several choices is their list.
    """
    found: dict[str, Any] = {}
    for name, value in zip(row, map(chosen, row.values())):
        if isinstance(value, Mapping) and value and "bytes" not in value:
            found.update({f"{name}.{inner}": each for inner, each in flat(value).items()})
        else:
            found[name] = value
    return found


def _is_index(key: str) -> bool:
    return key.isdigit()


def splits_in(value: Any) -> list[str]:
    """Keys of an object of tables: `{"train": [{…}], "test": [{…}]}`."""
    if not isinstance(value, Mapping) or any(map(is_messages, value.values())):
        return []
    return [key for key, inner in value.items() if isinstance(inner, list) and inner and isinstance(inner[0], Mapping)]
