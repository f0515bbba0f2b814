"""Predictions as rows of a table: the user's columns, then prediction, confidence and error."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from headstart.artifacts.answers import Answer
from headstart.core.errors import ConfigurationError
from headstart.tasks.task import Task

INPUT = "input"
"column for inputs outside tables: a text, or the place of an image"


class AnswerRows:
    """Turns answers into rows; the columns are known in advance.

    given: columns of the user. probabilities: add a column per class. below: add `check`, yes if the confidence is
    below this. A user's column with the name of an added one keeps it; the added one becomes `NAME_2`. Raises
    `ConfigurationError` for `probabilities` and `below` with a regression model.
    """

    def __init__(self, task: Task, given: Sequence[str], probabilities: bool = False, below: float | None = None):
        if below is not None and not 0 <= below <= 1:
            raise ConfigurationError(f"--below is {below}; it takes a probability, from 0 to 1.")
        asked = [name for name, on in (("--probabilities", probabilities), ("--below", below is not None)) if on]
        if asked and task.uncertain:
            raise ConfigurationError(f"this model {task.uncertain}; leave out {' and '.join(asked)}.")
        if probabilities and not task.pooled:
            raise ConfigurationError(f"this model gives {task.noun}; leave out --probabilities.")
        self.task, self.below = task, below
        self._taken = list(given)
        self._prediction = self._own("prediction")
        scored = not task.uncertain
        self._confidence = self._own("confidence") if scored else None
        self._check = self._own("check") if scored and below is not None else None
        self._chances = {name: self._own(f"p_{name}") for name in task.labels} if scored and probabilities else {}
        self._error = self._own("error")

    def _own(self, name: str) -> str:
        free, number = name, 1
        while free in self._taken:
            number += 1
            free = f"{name}_{number}"
        self._taken.append(free)
        return free

    @property
    def columns(self) -> list[str]:
        return list(self._taken)

    def row(self, answer: Answer) -> dict[str, Any]:
        """Cells by column; missing ones are None."""
        source, found = answer.row, answer.prediction
        cells: dict[str, Any] = dict(source.columns) or {INPUT: source.name}
        if found is None:
            where = f"{source.place}: " if source.place and source.place not in answer.problem else ""
            added = (self._prediction, self._confidence, self._check, *self._chances.values())
            return {**cells, **{name: None for name in added if name}, self._error: where + answer.problem}
        value: Any = list(found.tags) or found.label
        if self.task.numeric:  # seven digits, because the value is a float32
            value = float(f"{found.probabilities['value']:.7g}")
        cells |= {self._prediction: value}
        if self._confidence and found.confidence is not None:
            cells[self._confidence] = round(found.confidence, 6)
            if self._check:
                cells[self._check] = "yes" if found.confidence < (self.below or 0.0) else "no"
        cells |= {column: round(found.probabilities[name], 6) for name, column in self._chances.items()}
        return cells | {self._error: None}
