"""Solved heads against scikit-learn's solvers, on features that are far from standardised."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import StandardScaler
from torch import nn

from headstart.methods import convex
from headstart.methods.controls.majority import Prior
from headstart.methods.convex import solve
from headstart.methods.solver import Given
from headstart.tasks.task import Task

N, D = 90, 12


def features(seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(N, D)) * 10.0 ** rng.uniform(-2, 2, D) + 10.0 ** rng.uniform(-1, 2, D)


def labels(x: np.ndarray, classes: int, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    z = StandardScaler().fit_transform(x)
    return (z @ rng.normal(size=(D, classes)) + rng.normal(size=(N, classes))).argmax(1)


def solved(x: np.ndarray, y: np.ndarray, task: Task, penalty: float, bias: bool = True) -> nn.Linear:
    head = nn.Linear(D, task.outputs, bias=bias).double()
    solve(torch.tensor(x), torch.tensor(y), task, penalty, head)
    return head


def scores(head: nn.Linear, x: np.ndarray) -> torch.Tensor:
    with torch.no_grad():
        return head(torch.tensor(x))


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("penalty", [0.1, 1.0, 100.0])
def test_single_label_as_scikit_learns_logistic_regression(classes: int, penalty: float) -> None:
    """Their objective is `C sum loss + ||W||² / 2`: ours times n, with penalty = 1 / C.

    For two classes theirs has one row of weights w, ours two; at the minimum of ours they are w/2 and -w/2, which
    halves the penalty for the same logits, hence 1 / C = penalty / 2.
    """
    x = features()
    y = labels(x, classes)
    task = Task("single_label", "text", tuple("abc"[:classes]))
    found = task.probabilities(scores(solved(x, y, task, penalty), x)).numpy()
    scaler = StandardScaler().fit(x)
    C = 1 / penalty if classes > 2 else 2 / penalty
    theirs = LogisticRegression(C=C, max_iter=10000, tol=1e-10).fit(scaler.transform(x), y)
    np.testing.assert_allclose(found, theirs.predict_proba(scaler.transform(x)), atol=1e-4)


@pytest.mark.parametrize("penalty", [1.0, 30.0])
def test_more_features_than_examples(penalty: float) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(N, 5 * N)) * 10.0 ** rng.uniform(-2, 2, 5 * N) + 3.0
    y = rng.integers(3, size=N)
    task = Task("single_label", "text", tuple("abc"))
    head = nn.Linear(5 * N, 3).double()
    solve(torch.tensor(x), torch.tensor(y), task, penalty, head)
    scaler = StandardScaler().fit(x)
    theirs = LogisticRegression(C=1 / penalty, max_iter=10000, tol=1e-10).fit(scaler.transform(x), y)
    more = x + rng.normal(size=x.shape) * x.std(0)
    np.testing.assert_allclose(
        task.probabilities(scores(head, more)).numpy(), theirs.predict_proba(scaler.transform(more)), atol=1e-3
    )


def test_the_curvature_of_few_examples_is_no_larger_than_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred examples of thousands of features: what is factored has a hundred rows."""
    seen, basis = [], convex._basis
    monkeypatch.setattr(convex, "_basis", lambda z, ridge: seen.append(z.shape) or basis(z, ridge))
    x = np.random.default_rng(0).normal(size=(20, 300))
    task = Task("single_label", "text", tuple("ab"))
    solve(torch.tensor(x), torch.tensor(np.arange(20) % 2), task, 1.0, nn.Linear(300, 2))
    assert seen == [(20, 20)]


def test_without_biases_features_are_scaled_only() -> None:
    x = features()
    y = labels(x, 3)
    task = Task("single_label", "text", tuple("abc"))
    found = task.probabilities(scores(solved(x, y, task, 2.0, bias=False), x)).numpy()
    scale = np.sqrt(np.square(x).mean(0))
    theirs = LogisticRegression(C=0.5, max_iter=10000, tol=1e-10, fit_intercept=False).fit(x / scale, y)
    np.testing.assert_allclose(found, theirs.predict_proba(x / scale), atol=1e-4)


def test_class_weights_as_in_scikit_learn() -> None:
    x = features()
    y = labels(x, 3)
    weights = (0.3, 2.0, 1.2)
    task = Task("single_label", "text", tuple("abc"), weights)
    found = task.probabilities(scores(solved(x, y, task, 1.0), x)).numpy()
    z = StandardScaler().fit_transform(x)
    theirs = LogisticRegression(C=1.0, max_iter=10000, tol=1e-10, class_weight=dict(enumerate(weights))).fit(z, y)
    np.testing.assert_allclose(found, theirs.predict_proba(z), atol=1e-4)


def test_multi_label_is_one_logistic_regression_a_label() -> None:
    """Ours is the mean over labels: each label's own objective has penalty times the number of labels."""
    x = features()
    rng = np.random.default_rng(3)
    z = StandardScaler().fit_transform(x)
    y = (z @ rng.normal(size=(D, 3)) + rng.normal(size=(N, 3)) > 0.5).astype(np.float32)
    task = Task("multi_label", "text", tuple("abc"))
    found = task.probabilities(scores(solved(x, y, task, 1.5), x)).numpy()
    for label in range(3):
        theirs = LogisticRegression(C=1 / (3 * 1.5), max_iter=10000, tol=1e-10).fit(z, y[:, label])
        np.testing.assert_allclose(found[:, label], theirs.predict_proba(z)[:, 1], atol=1e-4)


def test_regression_as_scikit_learns_ridge() -> None:
    x = features()
    rng = np.random.default_rng(4)
    z = StandardScaler().fit_transform(x)
    y = (z @ rng.normal(size=D) + 7 + rng.normal(size=N)).astype(np.float32)
    found = scores(solved(x, y, Task("regression", "text"), 3.0), x).numpy()[:, 0]
    np.testing.assert_allclose(found, Ridge(alpha=3.0).fit(z, y).predict(z), atol=1e-4)


@pytest.mark.parametrize("near", [False, True])
@pytest.mark.parametrize("unit", [1e-8, 1e8])
def test_the_unit_of_a_regressions_targets_says_nothing(unit: float, near: bool) -> None:
    """The same head, in that unit, and the objective in its square."""
    x, rng = torch.tensor(features()), np.random.default_rng(4)
    z = StandardScaler().fit_transform(features())
    y = torch.tensor(z @ rng.normal(size=D) + 7 + rng.normal(size=N))
    start = torch.full((1, D), 0.01, dtype=torch.float64) if near else None
    found, values = [], []
    for scale in (1.0, unit):
        head = nn.Linear(D, 1).double()
        task = Task("regression", "text")
        values.append(solve(x, y * scale, task, 2.0, head, None if start is None else start * scale))
        found.append(scores(head, x.numpy())[:, 0] / scale)
    assert np.corrcoef(found[0], y)[0, 1] > 0.9
    torch.testing.assert_close(found[1], found[0], rtol=1e-3, atol=1e-3)
    assert values[1] / unit**2 == pytest.approx(values[0], rel=1e-3)


def test_a_feature_that_never_varies_does_no_harm() -> None:
    x = features()
    x[:, 3] = 5.0
    y = labels(features(), 3)
    task = Task("single_label", "text", tuple("abc"))
    head = solved(x, y, task, 1.0)
    assert torch.isfinite(head.weight).all()
    assert torch.isfinite(head.bias).all()
    assert float(head.weight.detach()[:, 3].abs().max()) == 0
    found = task.probabilities(scores(head, x)).numpy()
    keep = np.arange(D) != 3
    z = StandardScaler().fit_transform(x[:, keep])
    theirs = LogisticRegression(C=1.0, max_iter=10000, tol=1e-10).fit(z, y)
    np.testing.assert_allclose(found, theirs.predict_proba(z), atol=1e-4)


def solved_prior(targets: torch.Tensor, task: Task, head: nn.Linear) -> None:
    unused: Any = None
    Prior().solve(Given(task, unused, head, targets, unused, (), unused, unused, unused))


def test_prior_predicts_the_frequencies() -> None:
    x = torch.randn(8, D)
    head = nn.Linear(D, 3)
    task = Task("single_label", "text", tuple("abc"))
    solved_prior(torch.tensor([0, 0, 0, 1, 1, 0, 0, 0]), task, head)
    found = task.probabilities(head(x)).detach()
    torch.testing.assert_close(found[0], torch.tensor([0.75, 0.25, 0.0]), rtol=0, atol=1e-3)
    assert found.unique(dim=0).shape[0] == 1
    task = Task("multi_label", "text", tuple("abc"))
    solved_prior(torch.tensor([[1.0, 0, 0], [1, 1, 0], [1, 0, 0], [1, 0, 0]]), task, head)
    found = task.probabilities(head(x)).detach()
    torch.testing.assert_close(found[0], torch.tensor([1.0, 0.25, 0.0]), rtol=0, atol=1e-3)
    head = nn.Linear(D, 1)
    solved_prior(torch.tensor([1.0, 2.0, 6.0]), Task("regression", "text"), head)
    torch.testing.assert_close(head(x).detach(), torch.full((8, 1), 3.0))


def test_the_penalty_counts_from_given_weights() -> None:
    """Far out they are kept; without a penalty they do not matter; in between, the minimum of the formula by scipy."""
    from scipy.optimize import minimize
    from scipy.special import logsumexp

    x = features()
    y = labels(x, 3)
    near = np.random.default_rng(3).normal(size=(3, D)) / x.std(0)
    task = Task("single_label", "image", tuple("abc"))

    def at(penalty: float, given: np.ndarray | None) -> nn.Linear:
        head = nn.Linear(D, 3).double()
        solve(torch.tensor(x), torch.tensor(y), task, penalty, head, None if given is None else torch.tensor(given))
        return head

    np.testing.assert_allclose(at(1e9, near).weight.detach().numpy() * x.std(0), near * x.std(0), atol=1e-3)
    scaler = StandardScaler().fit(x)
    z = scaler.transform(x)

    def objective(flat: np.ndarray) -> float:
        weight, bias = flat[: 3 * D].reshape(3, D), flat[3 * D :]
        scores = z @ weight.T + bias + x @ near.T
        loss = (logsumexp(scores, axis=1) - scores[np.arange(N), y]).mean()
        return float(loss + 5.0 / (2 * N) * np.square(weight).sum())

    best = minimize(objective, np.zeros(3 * D + 3), method="BFGS", options={"gtol": 1e-7, "maxiter": 2000})
    expected = best.x[: 3 * D].reshape(3, D) / scaler.scale_ + near
    np.testing.assert_allclose(at(5.0, near).weight.detach().numpy() * x.std(0), expected * x.std(0), atol=2e-3)
