"""The temperature, against a grid and by construction, and what it does to a model that is too sure."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from headstart.core.errors import ConfigurationError
from headstart.judging.checks.calibration import Calibration, cooled, temperature
from headstart.judging.judge import _check as judging
from headstart.stats.intervals import interval
from headstart.stats.metrics import metric
from headstart.stats.paired import compare
from headstart.stats.predictions import Predictions
from headstart.tasks.task import Task


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


def test_a_calibrated_model_gets_an_interval_from_zero_and_no_value_lies_outside_its_own() -> None:
    """Percentiles of the bootstrap never held 0, and lay above the value in 8 of 60 runs."""
    ece, zero = metric("single_label", "ece"), 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        said = rng.uniform(0.02, 0.98, 300)
        targets = (rng.random(300) < said).astype(np.int64)
        value, low, high = interval([Predictions(np.arange(300), targets, np.stack([1 - said, said], 1))], ece)
        assert low <= value <= high
        assert value < ece.of(Predictions(np.arange(300), targets, np.stack([1 - said, said], 1)))
        zero += low == 0
    assert zero >= 17


def test_an_error_that_is_large_is_found_and_told_apart() -> None:
    rng = np.random.default_rng(0)
    truth = rng.uniform(0.3, 0.7, 2000)
    targets = (rng.random(2000) < truth).astype(np.int64)
    sure = np.where(truth > 0.5, 0.99, 0.01)
    ece = metric("single_label", "ece")
    runs = [[Predictions(np.arange(2000), targets, np.stack([1 - s, s], 1))] for s in (sure, truth)]
    value, low, high = interval(runs[0], ece)
    assert value == pytest.approx(ece.of(runs[0][0]), abs=0.005)
    assert 0.35 < low < high < 0.45
    found = compare(*runs, ece)
    assert 0.3 < found.low < found.difference < found.high < 0.45


def test_no_gate_stands_on_the_calibration_error() -> None:
    material = SimpleNamespace(data=SimpleNamespace(task=Task("single_label", "text", ("a", "b")),
                                                    train=SimpleNamespace(targets=np.array([0, 1])),
                                                    validation=(), test=()))  # fmt: skip
    with pytest.raises(ConfigurationError, match="brier or log_loss"):
        judging(Calibration(gate="not_regressed"), material)  # type: ignore[arg-type]
    judging(Calibration(gate="not_regressed", metric="brier"), material)  # type: ignore[arg-type]
