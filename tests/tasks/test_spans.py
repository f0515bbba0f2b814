"""Spans and their counts against values worked out by hand (the same as seqeval's in its default mode)."""

from __future__ import annotations

import numpy as np
import pytest

from headstart.stats.intervals import interval
from headstart.stats.predictions import Predictions
from headstart.stats.spans import Scheme, Spans, span_counts
from headstart.stats.tag_metrics import metrics_of, tag_confusion, tag_rows

BIO = ("O", "B-LOC", "B-PER", "I-LOC", "I-PER")


def spans(text: str, tags: tuple[str, ...]) -> list[tuple[str, int, int]]:
    """(type, first, last) of one sentence of tags."""
    scheme = Scheme.of(tags)
    assert scheme is not None
    found = Spans.of(np.array([[tags.index(tag) for tag in text.split()] + [-1]]), scheme)
    return [(scheme.names[kind], at, int(found.last[0, at])) for at, kind in enumerate(found.kind[0]) if kind >= 0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("B-PER I-PER O B-LOC", [("PER", 0, 1), ("LOC", 3, 3)]),
        ("B-PER B-PER I-PER", [("PER", 0, 0), ("PER", 1, 2)]),
        ("O I-PER I-PER O", [("PER", 1, 2)]),  # IOB1: inside begins
        ("I-PER I-LOC I-LOC", [("PER", 0, 0), ("LOC", 1, 2)]),
        ("B-PER I-LOC O I-LOC B-LOC", [("PER", 0, 0), ("LOC", 1, 1), ("LOC", 3, 3), ("LOC", 4, 4)]),
        ("O O", []),
    ],
)
def test_spans_of_bio(text: str, expected: list[tuple[str, int, int]]) -> None:
    assert spans(text, BIO) == expected


@pytest.mark.parametrize(("end", "single"), ["ES", "LU"])
def test_spans_with_ends(end: str, single: str) -> None:
    tags = ("O", "B-X", "I-X", f"{end}-X", f"{single}-X")
    text = f"B-X I-X {end}-X {single}-X {end}-X O I-X"
    assert spans(text, tags) == [("X", 0, 2), ("X", 3, 3), ("X", 4, 4), ("X", 6, 6)]


def test_other_tags_are_no_spans() -> None:
    assert Scheme.of(("ADJ", "NOUN", "O")) is None
    assert Scheme.of(("O", "B-PER", "PER")) is None
    assert Scheme.of(("O",)) is None


def predictions(true: list[str], found: list[str], tags: tuple[str, ...]) -> Predictions:
    length = max(len(one.split()) for one in true)
    sides = np.full((2, len(true), length), -1)
    for side, rows in zip(sides, (true, found)):
        for row, text in zip(side, rows):
            row[: len(text.split())] = [tags.index(tag) if tag in tags else -1 for tag in text.split()]
    scores = np.zeros((len(true), length, len(tags)), dtype=np.float32)
    scores[sides[1] >= 0] = np.eye(len(tags))[sides[1][sides[1] >= 0]]
    return Predictions(np.arange(len(true)), sides[0], scores)


TRUE = ["B-PER I-PER O B-LOC", "O O", "B-LOC I-LOC"]
FOUND = ["B-PER I-PER O B-PER", "O B-LOC", "B-LOC O"]


def test_entity_f1_and_accuracy() -> None:
    """4 predicted, 3 true, 1 found: 2/7. Tags: 5 of 8 words."""
    p = predictions(TRUE, FOUND, BIO)
    metrics = metrics_of(BIO)
    assert next(iter(metrics)) == "entity_f1"
    assert metrics["entity_f1"].of(p) == pytest.approx(2 / 7)
    assert metrics["accuracy"].of(p) == pytest.approx(5 / 8)
    # LOC: 0 found of 2 predicted and 2 true; PER: 1 of 2 and 1
    assert metrics["macro_f1"].of(p) == pytest.approx((0 + 2 / 3) / 2)
    rows = {row.label: row for row in tag_rows([p], BIO)}
    assert (rows["PER"].precision, rows["PER"].recall, rows["PER"].support) == (0.5, 1.0, 1)
    assert tag_confusion([p], BIO) == ()


def test_statistics_are_sums_over_sentences() -> None:
    p = predictions(TRUE, FOUND, BIO)
    rows = metrics_of(BIO)["entity_f1"].statistics(p)
    assert rows.tolist() == [[1, 2, 2], [0, 1, 0], [0, 1, 1]]
    value, low, high = interval([p], metrics_of(BIO)["entity_f1"], draws=200)
    assert low <= value <= high


def test_a_word_that_was_not_seen_is_in_no_entity_and_not_right() -> None:
    p = predictions(["O B-LOC"], ["O ?"], BIO)
    assert metrics_of(BIO)["accuracy"].of(p) == 0.5
    assert metrics_of(BIO)["entity_f1"].statistics(p).tolist() == [[0, 0, 1]]
    assert metrics_of(BIO)["log_loss"].statistics(p)[0, 1] == 1, "only words that were seen have a loss"


def test_parts_of_speech_are_judged_by_words() -> None:
    tags = ("NOUN", "VERB")
    p = predictions(["NOUN VERB", "NOUN"], ["NOUN NOUN", "NOUN"], tags)
    metrics = metrics_of(tags)
    assert next(iter(metrics)) == "accuracy"
    assert metrics["accuracy"].of(p) == pytest.approx(2 / 3)
    assert metrics["macro_f1"].of(p) == pytest.approx((2 * 2 / 5 + 0) / 2)
    assert tag_confusion([p], tags) == ((2, 0), (1, 0))


def test_counts_agree_with_counting_one_by_one() -> None:
    random = np.random.default_rng(0)
    scheme = Scheme.of(BIO)
    assert scheme is not None
    true = random.integers(0, len(BIO), (50, 8))
    found = np.where(random.random(true.shape) < 0.6, true, random.integers(0, len(BIO), true.shape))
    counts = span_counts(true, found, scheme)
    for row, (a, b) in enumerate(zip(true, found)):
        x, y = (set(spans(" ".join(BIO[tag] for tag in side), BIO)) for side in (a, b))
        for at, name in enumerate(scheme.names):
            expected = [sum(kind == name for kind, *_ in side) for side in (x & y, y, x)]
            assert counts[row, :, at].tolist() == expected
