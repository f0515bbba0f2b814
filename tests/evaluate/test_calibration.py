"""The temperature, against a grid and by construction, and what it does to a model that is too sure."""

from __future__ import annotations

import numpy as np
import pytest

from headstart.evaluate.calibration import cooled, temperature
from headstart.evaluate.metrics import metric
from headstart.evaluate.predictions import Predictions


def softmax(logits: np.ndarray) -> np.ndarray:
    e = np.exp(logits - logits.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def drawn(n: int, factor: float) -> tuple[np.ndarray, np.ndarray]:
    """Truths drawn from probabilities, and a model whose logits are `factor` times too large."""
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(n, 4)) * 1.5
    truths = np.array([rng.choice(4, p=p) for p in softmax(logits)])
    return softmax(factor * logits).astype(np.float32), truths


@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0])
def test_the_factor_is_found_again(factor: float) -> None:
    scores, truths = drawn(8000, factor)
    assert temperature(scores, truths) == pytest.approx(factor, rel=0.08)


def test_it_is_the_minimum_of_the_log_loss() -> None:
    scores, truths = drawn(400, 2.0)
    t = temperature(scores, truths)

    def loss(at: float) -> float:
        return float(-np.log(softmax(np.log(scores) / at)[np.arange(len(truths)), truths]).mean())

    grid = np.exp(np.linspace(np.log(0.1), np.log(10), 400))
    assert loss(t) <= min(map(loss, grid)) + 1e-6
    assert cooled(scores, t) == pytest.approx(softmax(np.log(scores) / t), abs=1e-6)


def test_a_model_too_sure_becomes_calibrated_and_says_the_same() -> None:
    scores, truths = drawn(8000, 3.0)
    held, test = slice(0, 4000), slice(4000, 8000)
    after = cooled(scores[test], temperature(scores[held], truths[held]))
    ece = metric("single_label", "ece")
    ids = np.arange(4000)
    before = ece.of(Predictions(ids, truths[test], scores[test]))
    assert before > 0.1
    assert ece.of(Predictions(ids, truths[test], after)) < before / 3
    assert (after.argmax(1) == scores[test].argmax(1)).all()


def test_certainty_itself_does_no_harm() -> None:
    scores = np.eye(3, dtype=np.float32)[[0, 1, 2, 0]]
    assert np.isfinite(temperature(scores, np.array([0, 1, 2, 1])))
    assert np.isfinite(cooled(scores, 2.0)).all()
