"""Exact match and token F1 against the formulas of SQuAD's official script, as it writes them (version 2.0)."""

from __future__ import annotations

import collections
import re
import string

import numpy as np
import pytest

from headstart.stats.intervals import interval
from headstart.stats.paired import compare
from headstart.stats.predictions import Predictions
from headstart.stats.span_metrics import ANSWERS, COLUMNS, NO_ANSWERS
from headstart.stats.squad import exact_match, normalised, token_f1

TEXTS = (
    "", "the", "The Denver Broncos", "Denver Broncos", "broncos,  denver!", "a Denver   team", "1,990", "1990",
    "U.S. team", "an apple a day", "Straße", "naïve Café", "北京。", "北京", "في العام 1990", "theatre",
    "Denver Denver",
)  # fmt: skip


def normalize_answer(s: str) -> str:
    lowered = s.lower()
    bare = "".join(ch for ch in lowered if ch not in set(string.punctuation))
    return " ".join(re.sub(re.compile(r"\b(a|an|the)\b", re.UNICODE), " ", bare).split())


def compute_exact(a_gold: str, a_pred: str) -> int:
    return int(normalize_answer(a_gold) == normalize_answer(a_pred))


def compute_f1(a_gold: str, a_pred: str) -> float:
    gold_toks = normalize_answer(a_gold).split()
    pred_toks = normalize_answer(a_pred).split()
    common = collections.Counter(gold_toks) & collections.Counter(pred_toks)
    num_same = sum(common.values())
    if len(gold_toks) == 0 or len(pred_toks) == 0:
        return int(gold_toks == pred_toks)
    if num_same == 0:
        return 0
    precision = 1.0 * num_same / len(pred_toks)
    recall = 1.0 * num_same / len(gold_toks)
    return (2 * precision * recall) / (precision + recall)


@pytest.mark.parametrize("answer", TEXTS)
def test_equal_to_the_official_script(answer: str) -> None:
    assert normalised(answer) == normalize_answer(answer)
    for true in TEXTS:
        assert exact_match(answer, [true]) == compute_exact(true, answer), true
        assert token_f1(answer, [true]) == pytest.approx(compute_f1(true, answer)), true
    assert token_f1(answer, TEXTS) == pytest.approx(max(compute_f1(true, answer) for true in TEXTS))


def test_without_an_accepted_answer_only_none_is_right() -> None:
    assert (exact_match("", []), token_f1("", [])) == (1.0, 1.0)
    assert (exact_match("red", []), token_f1("red", [])) == (0.0, 0.0)


def judged(exact: list[float], f1: list[float], answerable: list[float], clusters: list[int]) -> Predictions:
    columns = np.zeros((len(exact), len(COLUMNS)), dtype=np.float32)
    columns[:, 0], columns[:, 1], columns[:, 2] = exact, f1, answerable
    return Predictions(np.arange(len(exact)), np.zeros_like(columns), columns, np.array(clusters))


def test_metrics_are_means_of_their_column() -> None:
    found = judged([1, 0, 1, 0], [1, 0.5, 1, 0], [1, 1, 0, 0], [0, 0, 1, 1])
    values = {one.name: one.of(found) for one in (*ANSWERS, *NO_ANSWERS)}
    assert values == {
        "exact_match": 0.5, "f1": 0.625, "answerable_exact_match": 0.5, "answerable_f1": 0.75,
        "unanswerable_accuracy": 0.5,
    }  # fmt: skip


def test_intervals_and_tests_draw_passages() -> None:
    """Four questions a passage that are all right or all wrong are worth one: the interval is about twice as wide."""
    random = np.random.default_rng(0)
    right = np.repeat(random.random(30) < 0.6, 4).astype(float)
    f1 = ANSWERS[0]
    each, every = list(np.repeat(np.arange(30), 4)), list(range(120))
    (_, low, high), (_, bottom, top) = (
        interval([judged(list(right), list(right), [1.0] * 120, clusters)], f1) for clusters in (each, every)
    )
    assert high - low > 1.6 * (top - bottom)
    other = np.where(np.arange(120) < 40, 1 - right, right)
    tests = [
        compare(
            [judged(list(right), list(right), [1.0] * 120, c)], [judged(list(other), list(other), [1.0] * 120, c)], f1
        )
        for c in (each, every)
    ]
    assert tests[0].high - tests[0].low > 1.5 * (tests[1].high - tests[1].low)
