"""The test examples on which a method is most wrong."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from headstart.comparison.rows.mistakes import mistakes
from headstart.data.read import read
from headstart.stats.predictions import Predictions


def write(path: Path, rows: list[tuple[str, object]]) -> Path:
    path.write_text("text,label\n" + "".join(f"{text},{label}\n" for text, label in rows), encoding="utf-8")
    return path


def test_the_most_confident_errors_come_first(tmp_path: Path) -> None:
    train = write(tmp_path / "train.csv", [(f"a training text {i}", "ab"[i % 2]) for i in range(40)])
    test = write(tmp_path / "test.csv", [(f"test text {i} " + "long " * 80 * (i == 3), "ab"[i % 2]) for i in range(6)])
    data = read(train, text="text", label="label", test=test)
    truth = data.test.targets
    chance = np.array([0.9, 0.4, 0.6, 0.01, 0.3, 0.8])  # of the truth, mean over two seeds
    runs = []
    for shift in (-0.005, 0.005):
        scores = np.empty((6, 2))
        scores[np.arange(6), truth], scores[np.arange(6), 1 - truth] = chance + shift, 1 - chance - shift
        runs.append(Predictions(data.test.ids, truth, scores))
    found = mistakes(runs, data.test, data.task)
    assert [one.place for one in found] == ["test.csv:5", "test.csv:6", "test.csv:3"]
    assert [(one.truth, one.predicted) for one in found] == [("b", "a"), ("a", "b"), ("b", "a")]
    assert [one.loss for one in found] == pytest.approx([-math.log(p) for p in (0.01, 0.3, 0.4)], rel=1e-4)
    assert [one.confidence for one in found] == pytest.approx([0.99, 0.7, 0.6], rel=1e-4)
    assert (len(found[0].input), found[0].input[-1], found[1].input) == (300, "…", "test text 4 ")
    assert [one.place for one in mistakes(runs, data.test, data.task, most=1)] == ["test.csv:5"]


def test_numbers_by_their_absolute_error(tmp_path: Path) -> None:
    train = write(tmp_path / "train.csv", [(f"a training text {i}", i + 0.5) for i in range(40)])
    test = write(tmp_path / "test.csv", [(f"test text {i}", i + 0.5) for i in range(3)])
    data = read(train, text="text", label="label", test=test, kind="regression")
    run = Predictions(data.test.ids, data.test.targets, (data.test.targets + [1, -3, 2])[:, None])
    found = mistakes([run], data.test, data.task)
    assert [(one.truth, one.predicted, one.confidence) for one in found] == [
        ("1.5", "-1.5", None), ("2.5", "4.5", None), ("0.5", "1.5", None),
    ]  # fmt: skip
    assert found[0].loss == pytest.approx(3)
