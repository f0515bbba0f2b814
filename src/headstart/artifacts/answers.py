"""Answers: a stream of rows becomes a stream of predictions; an unusable row keeps its place with its problem.

Rows are processed in chunks, so that memory does not grow with their number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from headstart.core.errors import DataError
from headstart.data.examples import Input
from headstart.data.ingest.unlabelled import Unlabelled
from headstart.tasks.task import Prediction, Task

Scores = Callable[[Sequence[Input]], Iterable[Any]]
"what `Task.prediction` makes n answers of: probabilities or values [n, outputs], or answers in words"
MAX_CHARACTERS = 8_000_000
"maximum size of a chunk of texts, in characters"


@dataclass(frozen=True)
class Answer:
    """A row with its prediction, or with its problem."""

    row: Unlabelled
    prediction: Prediction | None
    problem: str = ""


def answers(task: Task, scores: Scores, rows: Iterable[Unlabelled]) -> Iterator[list[Answer]]:
    """Chunks of answers, in the order of the rows."""
    for chunk in _chunks(rows, task.input.rows_at_once):
        found = iter(_scored(scores, [row for row in chunk if not row.problem]))
        yield [Answer(row, None, row.problem) if row.problem else _answer(task, row, next(found)) for row in chunk]


def _chunks(rows: Iterable[Unlabelled], most: int) -> Iterator[list[Unlabelled]]:
    chunk: list[Unlabelled] = []
    size = 0
    for row in rows:
        chunk.append(row)
        size += len(row.name)
        if len(chunk) >= most or size >= MAX_CHARACTERS:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _scored(scores: Scores, rows: Sequence[Unlabelled]) -> list[Any]:
    """The scores of each row, or its problem as a text; failing rows are found by bisection."""
    if not rows:
        return []
    try:
        return list(scores([row.value for row in rows if row.value is not None]))
    except DataError as error:
        if len(rows) == 1:
            return [str(error).rstrip(".")]
    half = len(rows) // 2
    return [*_scored(scores, rows[:half]), *_scored(scores, rows[half:])]


def _answer(task: Task, row: Unlabelled, scores: Any) -> Answer:
    if isinstance(scores, str):
        return Answer(row, None, scores)
    if isinstance(scores, np.ndarray) and not np.isfinite(scores).all():
        return Answer(row, None, "the model's scores are not finite")
    return Answer(row, task.prediction(scores, row.value))
