"""Scores of answers, worked by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from headstart.stats.answer_metrics import ANSWER_METRICS, COLUMNS, column
from headstart.stats.answer_scores import abstains, exact, normal, token_f1, tolerant
from headstart.stats.guess import guess
from headstart.stats.intervals import interval
from headstart.stats.predictions import Predictions


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The  Debian Project!", "debian project"),
        ("an apple, a day", "apple day"),
        ("“Toy Story” — 3:1 § 4", "toy story 31 4"),
        ("theatre", "theatre"),
        ("A", "a"),
        ("the", "the"),
        ("??", "??"),
        ("", ""),
        ("Straße\n42", "straße 42"),
    ],
)
def test_normal(text: str, expected: str) -> None:
    assert normal(text) == expected


def test_exact_is_equality_after_normalisation_with_any_right_answer() -> None:
    assert exact("the Debian Project.", ["debian project"])
    assert exact("DPL", ["project leader", "dpl"])
    assert not exact("debian", ["debian project"])
    assert not exact("", ["a"])
    assert exact("A", ["a"])
    assert not exact("an", ["a"])


def test_abstaining_is_right_where_the_documents_do_not_say_and_only_there() -> None:
    assert exact("The documents do not say who it was.", ["The documents do not say."])
    assert abstains("Documents do not say")
    assert not exact("The documents do not say.", ["Ian Murdock"])
    assert not exact("Ian Murdock", ["The documents do not say."])


def test_tolerant_forgives_the_form() -> None:
    assert tolerant("It was founded by Ian Murdock in 1993.", ["Ian Murdock"])
    assert not tolerant("It was Ian A. Jackson or Murdock", ["Ian Murdock"])
    assert not tolerant("planetary", ["planet"])
    assert tolerant("exact too", ["the exact, too"])
    assert not tolerant("", ["x"])


def test_token_f1_by_hand() -> None:
    # 2 of 3 found words are right, of 4 wanted: P = 2/3, R = 1/2, F1 = 4/7
    assert token_f1("red blue green", ["red blue white black"]) == pytest.approx(4 / 7)
    # `red red` has one right `red`: P = 1/2, R = 1/2
    assert token_f1("red red", ["red blue"]) == pytest.approx(0.5)
    assert token_f1("red", ["blue", "red red red"]) == pytest.approx(0.5)  # the best of both: P = 1, R = 1/3
    assert token_f1("grey", ["blue"]) == 0
    assert token_f1("The red!", ["red"]) == 1
    assert token_f1("", ["red"]) == 0


def predictions(rows: list[dict[str, float]], clusters: list[int] | None = None) -> Predictions:
    scores = np.array([[row.get(name, 0.0) for name in COLUMNS] for row in rows], dtype=np.float32)
    grouped = None if clusters is None else np.array(clusters)
    return Predictions(np.arange(len(rows)), np.zeros(len(rows), dtype=np.int64), scores, grouped)


def test_each_metric_is_a_ratio_of_sums() -> None:
    found = predictions(
        [
            {"exact": 1, "f1": 1, "stopped": 1, "nats": 2.0, "tokens": 4, "bytes": 10, "tokens_out": 3},
            {"exact": 0, "f1": 0.5, "stopped": 0, "nats": 4.0, "tokens": 2, "bytes": 2, "tokens_out": 9},
        ]
    )
    values = {name: metric.of(found) for name, metric in ANSWER_METRICS.items()}
    assert values["exact_match"] == 0.5
    assert values["f1"] == 0.75
    assert values["stopped"] == 0.5
    assert values["answer_tokens"] == 6
    assert values["answer_loss"] == pytest.approx(6 / 6)  # not the mean of 0.5 and 2
    assert values["bits_per_byte"] == pytest.approx(6 / math.log(2) / 12)
    assert list(column(found, "nats")) == [2.0, 4.0]
    assert next(iter(ANSWER_METRICS)) == "exact_match"


def test_a_constant_guess_abstains() -> None:
    constant = guess(predictions([{"exact": 1, "f1": 1}] * 3))
    assert ANSWER_METRICS["exact_match"].of(constant) == 0
    assert ANSWER_METRICS["abstained"].of(constant) == 1
    assert all(metric.defined(np.zeros(3, dtype=np.int64), len(COLUMNS)) for metric in ANSWER_METRICS.values())


def test_wordings_of_one_fact_count_as_one() -> None:
    """Four equal answers to each of ten facts are no more certain than one."""
    right = [{"exact": float(i % 2)} for i in range(10)]
    alone = interval([predictions(right)], ANSWER_METRICS["exact_match"])
    four = interval([predictions([r for r in right for _ in range(4)], [i for i in range(10) for _ in range(4)])],
                    ANSWER_METRICS["exact_match"])  # fmt: skip
    apart = interval([predictions([r for r in right for _ in range(4)])], ANSWER_METRICS["exact_match"])
    assert four[2] - four[1] > 1.5 * (apart[2] - apart[1])
    assert four[2] - four[1] == pytest.approx(alone[2] - alone[1], abs=0.1)
