"""GloVe against the formula of the Stanford program in NumPy, and what its training keeps."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headstart.core.errors import ConfigurationError
from headstart.core.progress import Silent
from headstart.data.corpus.cooccurrence import ENTRY, Cooccurrence, count
from headstart.engine.state.checkpoint import Checkpoint
from headstart.pretraining.jobs import glove
from headstart.pretraining.jobs.glove_kernel import descend
from headstart.pretraining.objectives.glove import Glove

SMALL = Glove(dimension=7, epochs=3)


def some_entries(count: int = 400, vocabulary: int = 12) -> np.ndarray:
    rng = np.random.default_rng(0)
    found = np.empty(count, dtype=ENTRY)
    found["row"], found["column"] = rng.integers(0, vocabulary, (2, count))
    found["count"] = np.exp(rng.normal(1, 1.5, count))
    return found


def stanford(
    entries: np.ndarray, vectors: np.ndarray, squares: np.ndarray, eta: float, x_max: float, alpha: float
) -> float:
    """What glove.c does with each entry, in double precision; the sum of the costs."""
    size, cost = vectors.shape[1] - 1, 0.0
    for row, column, value in entries.tolist():
        one, two = row, column + len(vectors) // 2
        diff = vectors[one, :size] @ vectors[two, :size] + vectors[one, size] + vectors[two, size] - np.log(value)
        fdiff = diff if value > x_max else (value / x_max) ** alpha * diff
        cost += 0.5 * fdiff * diff
        fdiff *= eta
        first, second = (np.append(fdiff * vectors[other, :size], fdiff) for other in (two, one))
        vectors[one] -= first / np.sqrt(squares[one])
        vectors[two] -= second / np.sqrt(squares[two])
        squares[one] += first**2
        squares[two] += second**2
    return cost


@pytest.mark.parametrize(("x_max", "alpha"), [(10.0, 0.75), (100.0, 0.5)])
def test_a_pass_is_that_of_the_stanford_program(x_max: float, alpha: float) -> None:
    entries = some_entries()
    vectors, squares = glove._start(12, 20, 0)
    wanted, sums = vectors.astype(np.float64), squares.astype(np.float64)
    assert (sums == 1).all()
    for _ in range(3):
        cost = descend(entries, vectors, squares, np.float32(0.05), np.float32(x_max), np.float32(alpha))
        assert cost == pytest.approx(stanford(entries, wanted, sums, 0.05, x_max, alpha), rel=1e-4)
        np.testing.assert_allclose(vectors, wanted, atol=2e-5)
        np.testing.assert_allclose(squares, sums, rtol=1e-4)
    assert np.abs(wanted).max() > 0.2  # it has moved


def test_a_step_goes_down_the_gradient_of_the_objective() -> None:
    """By differences of f(x) / 2 (w . w' + b + b' - log x)^2; with sums of squares of 1, a step is rate x gradient."""
    entry = some_entries(1)
    vectors, squares = glove._start(12, 5, 3)
    before, (row, column, value) = vectors.astype(np.float64), entry[0].tolist()

    def objective(at: np.ndarray) -> float:
        word, context = at[row], at[column + 12]
        error = word[:-1] @ context[:-1] + word[-1] + context[-1] - np.log(value)
        return min(1.0, value / 10) ** 0.75 / 2 * error**2

    descend(entry, vectors, squares, np.float32(0.05), np.float32(10), np.float32(0.75))
    for place in [(row, 2), (column + 12, 4), (row, 5), ((row + 1) % 12, 0)]:
        aside = np.zeros_like(before)
        aside[place] = 1e-5
        slope = (objective(before + aside) - objective(before - aside)) / 2e-5
        assert vectors[place] - before[place] == pytest.approx(-0.05 * slope, abs=1e-6)


@pytest.fixture
def counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cooccurrence:
    """Of random words, some frequent, in several blocks."""
    monkeypatch.setattr("headstart.data.corpus.cooccurrence.BLOCK", 200)
    ids = np.random.default_rng(0).zipf(1.3, 3000) % 31  # 30 parts paragraphs
    return count(ids.astype(np.uint16), 30, 4, tmp_path / "counts", 0.01, 0, Silent())


def trained(
    counts: Cooccurrence, place: Path, objective: Glove = SMALL, threads: int = 1, **more: Any
) -> glove.Trained:
    told = {"seed": 0, "told": "", "progress": Silent(), **more}
    return glove.train(counts, 30, objective, threads, checkpoint=Checkpoint(place / "checkpoint"), **told)


def test_threads_come_as_far_as_one(counts: Cooccurrence, tmp_path: Path) -> None:
    alone = trained(counts, tmp_path / "alone", replace(SMALL, epochs=60))
    beside = trained(counts, tmp_path / "beside", replace(SMALL, epochs=60), threads=3)
    assert (alone.vectors != beside.vectors).any()
    assert alone.costs[-1] < 0.2 * alone.costs[0]
    assert beside.costs[-1] == pytest.approx(alone.costs[-1], rel=0.2)


def test_what_is_interrupted_comes_to_the_same_vectors(
    counts: Cooccurrence, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(counts.files) > 2
    whole = trained(counts, tmp_path)

    class Interrupted(Checkpoint):
        def write(self, *arguments: Any) -> None:
            super().write(*arguments)
            raise KeyboardInterrupt

    place = tmp_path / "stopped"
    place.mkdir()
    with monkeypatch.context() as patch:
        patch.setattr("pretraining.test_glove.Checkpoint", Interrupted)
        for _ in range(2):
            with pytest.raises(KeyboardInterrupt):
                trained(counts, place)
    done = trained(counts, place)
    assert done.costs == whole.costs
    assert (done.vectors == whole.vectors).all()
    other = trained(counts, place, seed=1)  # another training takes nothing from that checkpoint
    assert other.costs[0] != whole.costs[0]


@pytest.mark.parametrize("rate", [2.0, 1e20])
def test_a_rate_that_is_too_high_is_said(counts: Cooccurrence, tmp_path: Path, rate: float) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(f"{rate:g} is too much")):
        trained(counts, tmp_path, replace(SMALL, learning_rate=rate))
