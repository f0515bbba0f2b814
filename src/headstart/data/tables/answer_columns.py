"""Tables of questions, passages and the answers in them: SQuAD's files and data sets, and columns of plain text."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from headstart.data.audit.findings import Findings
from headstart.data.tables.chat_columns import ACCEPTED
from headstart.data.tables.column_names import meant
from headstart.data.tables.label_columns import FEW
from headstart.data.tables.numbers import number
from headstart.data.tables.sources import Splits
from headstart.data.tables.split_columns import flag
from headstart.data.tables.table import Chunk, Column, Table, TableAround

QUESTION = ("question", "query")
PASSAGE = ("context", "passage", "paragraph", "document", "text")
ANSWER = ("answers.text", "answers", "answer", "answer.text", "answer_text")
START = ("answers.answer_start", "answer_start", "answer.answer_start", "answers.start", "start")
UNANSWERABLE = ("is_impossible", "unanswerable")
GROUP = ("title", "article")


class Answers(list[str]):
    """The accepted answers of a question, each as `START:TEXT`; START counts signs from 0, and is -1 if not given.

    Empty if the passage does not answer the question.
    """


@dataclasses.dataclass(frozen=True)
class AnswerColumns:
    """Names of the columns of one data set."""

    question: str
    passage: str
    answer: str
    start: str | None = None
    unanswerable: str | None = None

    def answers(self, row: Sequence[Any]) -> Answers | None:
        """row: the cells of answer, start and unanswerable. None if the answer is missing."""
        cell: Any
        cell, start, unanswerable = row
        if unanswerable is not None and flag(unanswerable):
            return Answers()
        if isinstance(cell, str) and cell[:1] in ("[", "{"):
            with contextlib.suppress(ValueError):
                cell = json.loads(cell)
        if isinstance(cell, dict):
            cell, start = cell.get("text"), cell.get("answer_start", start)
        if cell is None or cell == "" or cell != cell:
            return None
        if not isinstance(cell, (list, tuple)):
            return Answers([f"{_whole(start)}:{cell}"])
        if cell and all(isinstance(one, dict) for one in cell):
            return Answers(f"{_whole(one.get('answer_start'))}:{one.get('text')}" for one in cell)
        starts = start if isinstance(start, (list, tuple)) and len(start) == len(cell) else [None] * len(cell)
        return Answers(f"{_whole(at)}:{one}" for one, at in zip(cell, starts))


class AnswerTable(TableAround):
    """A table whose column of answers gives `Answers`; it has no columns of starts any more."""

    def __init__(self, inner: Table, names: AnswerColumns) -> None:
        super().__init__(inner)
        self.names = names

    def sample(self) -> list[Column]:
        columns = self._inner.sample()
        cells = {column.name: column.values for column in columns}
        hidden = (self.names.start, self.names.unanswerable)
        return [
            dataclasses.replace(one, values=tuple(self._answers(cells))) if one.name == self.names.answer else one
            for one in columns
            if one.name not in hidden
        ]

    def _answers(self, cells: Mapping[str, Sequence[Any]]) -> list[Answers | None]:
        given = cells[self.names.answer]
        others = [cells.get(name or "", [None] * len(given)) for name in (self.names.start, self.names.unanswerable)]
        return [self.names.answers(row) for row in zip(given, *others)]

    def chunks(self, columns: Sequence[str], findings: Findings) -> Iterator[Chunk]:
        known = {column.name for column in self._inner.sample()}
        more = [name for name in (self.names.start, self.names.unanswerable) if name in known]
        asked = list(dict.fromkeys([*columns, *(name for name in more if name is not None)]))
        for chunk in self._inner.chunks(asked, findings):
            found = dict(chunk.columns)
            if self.names.answer in found:
                found[self.names.answer] = self._answers(found)
            yield dataclasses.replace(chunk, columns={name: found[name] for name in columns})


def with_answers(splits: Splits, text: str | Sequence[str] | None, label: str | None, asked: bool = False) -> Splits:
    """The tables with `Answers`, if the first of training has a question, a passage and answers that stand in it.

    text, label: the user's choice of columns. asked: True if such a task is asked for, whatever the answers are.
    """
    names = _names(splits["train"][0].sample(), text, label, asked)
    if names is None:
        return splits
    return {split: [_wrapped(table, names) for table in tables] for split, tables in splits.items()}


def groups_of(splits: Splits) -> tuple[str | None, str | None]:
    """Columns by which made splits keep questions together (the article, else the passage), and by which they count as
    one in statistics (the passage); None where these are all different or all the same."""
    first = splits["train"][0]
    assert isinstance(first, AnswerTable)
    shared = [{column.name for column in table.sample()} for tables in splits.values() for table in tables]
    columns = [column for column in first.sample() if all(column.name in names for names in shared)]

    def named(names: Sequence[str]) -> str | None:
        found = [one for one in columns if one.name.lower() in names and 1 < one.distinct < len(one.values)]
        return found[0].name if found else None

    passage = named((first.names.passage.lower(),))
    return named(GROUP) or passage, passage


def _names(
    columns: Sequence[Column], text: str | Sequence[str] | None, label: str | None, asked: bool
) -> AnswerColumns | None:
    known = {column.name: column for column in columns}
    given = [] if text is None else text.split(",") if isinstance(text, str) else list(text)
    given = [meant(name.strip(), known) for name in given]
    if given and (len(given) != 2 or not {*given} <= {*known}):
        return None

    def first(names: Sequence[str]) -> str | None:
        return next((one for name in names for one in known if one.lower() == name), None)

    question, passage = given or (first(QUESTION), first(PASSAGE))
    answer = first(ANSWER) if label is None else meant(label, known)
    if question is None or passage is None or answer not in known:
        return None
    if first(ACCEPTED) and not (asked or given or label):  # further right answers are for a model that writes its own
        return None
    names = AnswerColumns(question, passage, answer, first(START), first(UNANSWERABLE))
    if names.start is None and not asked and _are_classes(known[answer]):
        return None
    cells = {column.name: column.values for column in columns}
    found, held = 0, 0
    empty: list[Any] = [None] * len(cells[answer])
    rows = zip(cells[answer], cells.get(names.start or "", empty), cells.get(names.unanswerable or "", empty))
    for row, text_of in zip(rows, cells[passage]):
        for one in names.answers(row) or ():
            found += 1
            held += isinstance(text_of, str) and one.partition(":")[2].strip() in text_of
    return names if asked or held > found / 2 else None


def _are_classes(column: Column) -> bool:
    """True for few values that repeat, as labels of pairs: `0`, `no` or `a` stands by chance in most passages."""
    return column.kind in ("text", "number") and column.distinct <= max(2, min(FEW, len(column.values) // 4))


def _wrapped(table: Table, names: AnswerColumns) -> Table:
    return AnswerTable(table, names) if names.answer in {column.name for column in table.sample()} else table


def _whole(start: Any) -> int:
    """A start as a number; -1 for anything else."""
    if isinstance(start, str):
        start = number(start)
    return int(start) if isinstance(start, (int, float)) and start == start and start >= 0 else -1
