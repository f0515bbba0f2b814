"""Scores that train nothing: against the definition, and on features of which the answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize, stats

from headstart.stats.transferability import h_score, logme


@pytest.mark.parametrize(("n", "width"), [(40, 5), (12, 30)])
def test_logme_is_the_largest_evidence(n: int, width: int) -> None:
    """Against the marginal likelihood itself, `y ~ N(0, F F'/alpha + I/beta)`, climbed by another optimizer."""
    random = np.random.default_rng(3)
    features = random.normal(size=(n, width)) * np.linspace(0.5, 2, width)
    targets = features[:, :3] @ random.normal(size=(3, 2)) + 0.7 * random.normal(size=(n, 2))

    def best(y: np.ndarray) -> float:
        def loss(logs: np.ndarray) -> float:
            covariance = features @ features.T / np.exp(logs[0]) + np.eye(n) / np.exp(logs[1])
            return -float(stats.multivariate_normal.logpdf(y, np.zeros(n), covariance))

        return -optimize.minimize(loss, np.zeros(2), method="Nelder-Mead", options={"xatol": 1e-6, "fatol": 1e-8}).fun

    expected = np.mean([best(y) for y in targets.T]) / n
    assert logme(features, targets) == pytest.approx(expected, abs=1e-4)


def test_features_that_hold_the_answer_score_higher() -> None:
    random = np.random.default_rng(0)
    classes = random.integers(3, size=300)
    noise = random.normal(size=(300, 8))
    told = noise + 3 * np.eye(8)[classes]
    assert logme(told, np.eye(3)[classes]) > logme(noise, np.eye(3)[classes]) + 0.1
    assert h_score(told, classes) > 5 * h_score(noise, classes)


def test_h_score_by_hand() -> None:
    """Two classes at -d and d on one axis under unit noise: `d^2 / (d^2 + 1)` of the variance is between them."""
    random = np.random.default_rng(1)
    classes = np.repeat([0, 1], 20_000)
    features = random.normal(size=(40_000, 3))
    features[:, 0] += np.where(classes, 2.0, -2.0)
    assert h_score(features, classes) == pytest.approx(4 / 5, abs=0.01)
    assert h_score(features + 100, classes) == pytest.approx(h_score(features, classes))  # wherever the origin lies


def test_h_score_of_as_many_features_as_examples_is_not_that_of_noise() -> None:
    """Unshrunk, it would be the number of classes less one whatever the features."""
    random = np.random.default_rng(2)
    classes = np.repeat([0, 1, 2], 10)
    assert h_score(random.normal(size=(30, 30)), classes) < 0.5


def test_features_that_are_all_the_same_say_nothing() -> None:
    """The evidence is that of targets about a mean of 0 alone."""
    classes = np.repeat([0, 1], 20)
    zeros = np.zeros((40, 3))
    assert h_score(zeros + 5, classes) == 0
    alone = -0.5 * (np.log(2 * np.pi * 0.5) + 1)  # y'y / n = 1/2, the best 1 / beta
    assert logme(zeros, np.eye(2)[classes]) == pytest.approx(alone)
