"""Roles of the columns: which one holds the input, the label, the group; and what the tables have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from headstart.core.errors import DataError
from headstart.core.inputs import INPUT_KINDS
from headstart.data.audit.findings import Findings
from headstart.data.images.folder import ImageFolder
from headstart.data.images.paths import ImageTable, refuse_file_names, refuse_missing
from headstart.data.tables.answer_columns import AnswerTable, groups_of
from headstart.data.tables.chat_columns import find_chat
from headstart.data.tables.column_names import shown
from headstart.data.tables.columns import Roles, choose
from headstart.data.tables.pixels import note_numbers, refuse_pixels
from headstart.data.tables.repeated_columns import candidates
from headstart.data.tables.sources import Splits
from headstart.data.tables.split_columns import note_unused
from headstart.data.tables.table import ImagePath, Table
from headstart.data.tables.word_columns import WORDS, are_single


def roles_of(
    splits: Splits,
    source: str,
    text: str | Sequence[str] | None,
    label: str | None,
    group: str | None,
    findings: Findings,
    cluster_by: str | None,
    chat: Mapping[str, str | None] | None = None,
    asked: bool | None = None,
) -> tuple[Roles, tuple[str, ...]]:
    """Roles of the columns by the first training table; all other tables must have the same columns.

    chat: columns of conversations as the user names them. asked: True if the user wants a task that reads them,
    False for one of another kind.
    """
    first = splits["train"][0]
    if isinstance(first, ImageFolder):
        text, label = text or "file", label or "folder"
    if answered := isinstance(first, AnswerTable):
        text, label = text or (first.names.question, first.names.passage), label or first.names.answer
        by_article, by_passage = groups_of(splits)
        group, cluster_by = group or by_article, cluster_by or (by_passage if group is None else None)
    columns = first.sample()
    name, chats = first.name if len(splits) > 1 else source, None
    named = any((chat or {}).values())
    if asked or (label is None and (named or (text is None and asked is None))):
        chats = find_chat(columns, name, chat or {}, text if isinstance(text, str) else None, bool(asked))
    elif named:
        raise DataError("--prompt, --answer and --messages are for conversations, which have no --label; leave it out.")
    texts = None if chats else text
    roles = choose(columns, name, texts, label, group, len(splits) > 1, cluster_by, chats, answered)
    for split, tables in splits.items():
        needed = (roles if split == "train" else replace(roles, marks=None)).names()
        for table in tables:
            if table is not first:
                _same_columns(needed, table, first, roles.labels)
    for column in columns:
        if column.name in roles.text:
            refuse_missing(column, first.name, getattr(first, "path", Path("-")).parent)
        if column.name in roles.text and not roles.chat:
            refuse_pixels(column, first.name)
            note_numbers(column, findings)
        if column.name in roles.text and column.name in roles.guessed:
            refuse_file_names(column, first.name)
        if column.name in roles.text and column.name.lower() in WORDS and are_single(column):
            message = (
                f"each text of {column.name!r} is one word. To tag words in sentences, write a word and its tag a "
                "line, and an empty line between sentences, as a .conll file"
            )
            findings.add("words", "note", message, count=1)
    if roles.chat:
        note_unused(columns, roles.names(), findings)
        return roles, ()
    found = next(column for column in columns if column.name == roles.labels[0])
    if found.name in found.values:
        message = f"the first line was taken as the header, but {found.name!r} is also a label: is the header missing?"
        findings.add("header", "warning", message, [f"{first.name}:1"])
    note_unused(columns, roles.names(), findings)
    return roles, found.class_names


def holds_paths(splits: Splits, roles: Roles) -> bool:
    """True if all images are files, so that the store holds paths; else it holds the bytes of all images."""
    if not INPUT_KINDS[roles.modality].is_image:
        return False
    tables = [table for tables in splits.values() for table in tables]
    kinds = [
        {type(value) for value in column.values if value} == {ImagePath}
        for table in tables
        for column in table.sample()
        if column.name == roles.text[0]
    ]
    for table in tables:
        if isinstance(table, ImageTable):
            table.loads = not all(kinds)
    return all(kinds)


def possible_groups(splits: Splits, roles: Roles) -> list[str]:
    """Columns of all tables that could be groups, if no group is given."""
    if roles.group is not None:
        return []
    tables = [table.sample() for tables in splits.values() for table in tables]
    everywhere = set.intersection(*({column.name for column in columns} for columns in tables))
    return [name for name in candidates(splits["train"][0].sample(), roles.names()) if name in everywhere]


def _same_columns(needed: Sequence[str], table: Table, first: Table, labels: Sequence[str]) -> None:
    known = [column.name for column in table.sample()]
    missing = [role for role in needed if role not in known]
    if missing:
        advice = " Rename its columns, or leave it out."
        if isinstance(first, ImageFolder):
            advice = (
                f" Training has folders of classes: give such a folder, or call the columns {' and '.join(needed)}."
            )
        elif isinstance(table, ImageFolder):
            advice = " It has folders of classes, and training is a table: give a table of paths."
        elif not set(needed) - {*labels, *known}:
            advice = " Without labels it can't judge: give the training file alone, and this one to headstart predict."
        raise DataError(
            f"{table.name} has no column {', '.join(map(repr, missing))}, which the training examples have. Its "
            f"columns: {shown(known)}.{advice}"
        )
