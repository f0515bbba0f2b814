"""Answers as rows: what is asked for has an answer, or is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from headstart.artifacts.answer_rows import AnswerRows
from headstart.artifacts.answers import Answer
from headstart.core.errors import ConfigurationError
from headstart.data.ingest.unlabelled import Unlabelled
from headstart.tasks.task import Task

NUMBERS = Task("regression", "text", ())
CLASSES = Task("single_label", "text", ("no", "yes"))


@pytest.mark.parametrize("asked", [{"probabilities": True}, {"below": 0.5}])
def test_numbers_have_no_probability(asked: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=f"no probability; leave out --{next(iter(asked))}"):
        AnswerRows(NUMBERS, ["text"], **asked)
    assert AnswerRows(CLASSES, ["text"], **asked).columns[1] == "prediction"


@pytest.mark.parametrize("below", [float("nan"), -0.1, 70.0])
def test_a_bound_is_a_probability(below: float) -> None:
    with pytest.raises(ConfigurationError, match="from 0 to 1"):
        AnswerRows(CLASSES, ["text"], below=below)


@pytest.mark.parametrize(("value", "shown"), [(1234567.8, 1234568.0), (0.1, 0.1), (2021.375, 2021.375), (-1e-9, -1e-9)])
def test_a_value_has_the_digits_that_a_float32_knows(value: float, shown: float) -> None:
    answer = Answer(Unlabelled("a", "a"), NUMBERS.prediction(np.array([value], np.float32)))
    assert AnswerRows(NUMBERS, ["input"]).row(answer)["prediction"] == shown
