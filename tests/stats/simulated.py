"""Simulated answers: examples differ in difficulty, seeds in luck."""

from __future__ import annotations

import numpy as np
from scipy.special import expit

from headstart.stats.predictions import Predictions


def single(rng, n=60, classes=3, skill=1.0, ids=None):
    """Softmax scores of a model that is right more often the larger its skill."""
    targets = rng.integers(classes, size=n)
    return scored(rng, targets, classes, skill, ids)


def scored(rng, targets, classes, skill=1.0, ids=None):
    logits = rng.standard_normal((len(targets), classes)) + skill * np.eye(classes)[targets]
    scores = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    return Predictions(np.arange(len(targets)) if ids is None else ids, targets, scores)


def multi(rng, n=60, labels=4, skill=0.3):
    targets = (rng.random((n, labels)) < 0.3).astype(np.float32)
    return Predictions(np.arange(n), targets, np.clip(rng.random((n, labels)) + skill * (targets - 0.5), 0, 1))


def real(rng, n=60, noise=0.5):
    targets = rng.standard_normal(n) + 3
    return Predictions(np.arange(n), targets, (targets + noise * rng.standard_normal(n))[:, None])


def binary(correct):
    """Runs [R] of a binary task from a table [R, n] of which answers are right."""
    targets = np.arange(correct.shape[1]) % 2
    eye = np.eye(2, dtype=np.float32)
    return [Predictions(np.arange(len(targets)), targets, eye[np.where(row, targets, 1 - targets)]) for row in correct]


def answers(rng, difficulty, runs, mean=3.0, seed_sd=0.0):
    """[runs, n]: right with probability expit(mean + difficulty of the example + luck of the seed)."""
    luck = seed_sd * rng.standard_normal((runs, 1))
    return rng.random((runs, len(difficulty))) < expit(mean + difficulty + luck)
