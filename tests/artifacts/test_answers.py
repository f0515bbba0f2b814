"""Answers as a stream: chunks, rows that fail alone, and the columns beside the user's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from headstart.artifacts import answers as module
from headstart.artifacts.answer_rows import AnswerRows
from headstart.artifacts.answers import Answer, answers
from headstart.core.errors import DataError
from headstart.core.inputs import INPUT_KINDS
from headstart.data.ingest.unlabelled import Unlabelled
from headstart.tasks.task import Task

TASK = Task("single_label", "text", ("a", "b"))


class Counting:
    """Scores the length of a text; one that says bad can't be read, one that says nan has no score."""

    def __init__(self) -> None:
        self.seen: list[int] = []

    def scores(self, inputs: Sequence[Any]) -> np.ndarray:
        self.seen.append(len(inputs))
        for one in inputs:
            if "bad" in one:
                raise DataError(f"{one} can't be read.")
        return np.array([[np.nan, 0] if "nan" in one else [1 / len(one), 1 - 1 / len(one)] for one in inputs])


def test_rows_that_fail_fail_alone_and_in_their_place() -> None:
    rows = [Unlabelled(text, text) for text in ("one", "bad", "three", "nan", "bad 2")]
    rows.insert(2, Unlabelled(None, "", "x.csv:4", "without text"))
    (found,) = answers(TASK, Counting().scores, rows)
    assert [one.row.name for one in found] == ["one", "bad", "", "three", "nan", "bad 2"]
    assert [one.problem for one in found] == [
        "", "bad can't be read", "without text", "", "the model's scores are not finite", "bad 2 can't be read",
    ]  # fmt: skip
    assert [one.prediction.label if one.prediction else None for one in found] == ["b", None, None, "b", None, None]
    assert found[0].prediction is not None
    assert found[0].prediction.confidence == pytest.approx(2 / 3)


def test_a_stream_is_read_no_further_than_it_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    read = 0

    def endless() -> Iterator[Unlabelled]:
        nonlocal read
        while True:
            read += 1
            yield Unlabelled(f"text {read}", f"text {read}")

    monkeypatch.setitem(INPUT_KINDS, "text", replace(INPUT_KINDS["text"], rows_at_once=10))
    predictor = Counting()
    found = answers(TASK, predictor.scores, endless())
    for turn in range(1, 4):
        assert len(next(found)) == 10
        assert read <= 10 * turn
    assert predictor.seen == [10, 10, 10]
    monkeypatch.setattr(module, "MAX_CHARACTERS", 14)
    assert len(next(answers(TASK, predictor.scores, endless()))) == 2


def test_columns_of_ours_never_take_the_user_s() -> None:
    given = ["error", "prediction", "input", "label"]
    table = AnswerRows(Task("single_label", "text", ("input", "label", "label")), given, True, 0.9)
    assert table.columns == [
        *given, "prediction_2", "confidence", "check", "p_input", "p_label", "p_label_2", "error_2",
    ]  # fmt: skip
    row = Unlabelled("x", "x", "f:1", "", {"error": "mine", "prediction": 3})
    cells = AnswerRows(TASK, given, True, 0.9).row(Answer(row, TASK.prediction(np.array([0.2, 0.8]))))
    assert cells == {
        "error": "mine", "prediction": 3, "prediction_2": "b", "confidence": 0.8, "check": "yes", "p_a": 0.2,
        "p_b": 0.8, "error_2": None,
    }  # fmt: skip


def test_confidence_of_each_kind() -> None:
    several = Task("multi_label", "text", ("a", "b", "c")).prediction(np.array([0.9, 0.6, 0.2]))
    assert (several.label, several.confidence) == ("a|b", pytest.approx(0.6))
    barred = Task("multi_label", "text", ("a|b", "a", "b")).prediction(np.array([0.9, 0.2, 0.6]))
    assert barred.label == '["a|b", "b"]'
    value = Task("regression", "text", ()).prediction(np.array([1.5]))
    assert (value.label, value.confidence) == ("1.5", None)
    table = AnswerRows(Task("regression", "text", ()), ["id"])
    assert table.columns == ["id", "prediction", "error"]
    assert table.row(Answer(Unlabelled("x", "x", "", "", {"id": 1}), value)) == {
        "id": 1,
        "prediction": 1.5,
        "error": None,
    }
