"""Heads that solve themselves, against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from backbones.tiny import tiny
from contract.settings import logits_of, method_of, save_adapted, setting_of
from headstart.artifacts.artifact import reloaded
from headstart.core.errors import MethodError
from headstart.engine.adapt import adapted
from headstart.methods.heads.centroid import CentroidHead
from headstart.methods.heads.knn import NeighboursHead
from headstart.methods.heads.mahalanobis import MahalanobisHead, shrunk_covariance
from headstart.tasks.task import Task

RNG = np.random.default_rng(0)
Y = np.arange(40) % 4
X = (RNG.normal(size=(40, 12)) + 0.8 * RNG.normal(size=(4, 12))[Y]).astype(np.float32)
NEW = RNG.normal(size=(50, 12)).astype(np.float32)


def solved(head: torch.nn.Module, x: np.ndarray = X, y: np.ndarray = Y) -> np.ndarray:
    head.solve(torch.from_numpy(x), torch.from_numpy(y), Task("single_label", "text", tuple("abcd")))
    with torch.no_grad():
        return head(torch.from_numpy(NEW)).softmax(-1).numpy()


def test_centroid_is_the_nearest_mean_with_its_posterior() -> None:
    from sklearn.neighbors import NearestCentroid

    found = solved(CentroidHead(12, 4))
    model = NearestCentroid().fit(X, Y)
    assert (found.argmax(1) == model.predict(NEW)).all()
    means = np.stack([X[c == Y].mean(0) for c in range(4)])
    variance = np.square(X - means[Y]).sum() / ((40 - 4) * 12)
    density = np.exp(-np.square(NEW[:, None] - means).sum(-1) / (2 * variance))
    np.testing.assert_allclose(found, density / density.sum(1, keepdims=True), rtol=1e-3, atol=1e-5)


def test_mahalanobis_is_linear_discriminant_analysis() -> None:
    from sklearn.covariance import ledoit_wolf
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    within = X - np.stack([X[c == Y].mean(0) for c in range(4)])[Y]
    covariance, _ = ledoit_wolf(within, assume_centered=True)
    model = LinearDiscriminantAnalysis(solver="lsqr", covariance_estimator=_Given(covariance)).fit(X, Y)
    np.testing.assert_allclose(solved(MahalanobisHead(12, 4)), model.predict_proba(NEW), rtol=1e-2, atol=1e-4)


def test_the_covariance_of_equal_examples_can_be_inverted() -> None:
    for rows in (torch.zeros(5, 3).double(), torch.eye(3).double()[[0, 0]]):
        assert torch.linalg.inv(shrunk_covariance(rows)).isfinite().all()


class _Given:
    """A covariance that is there already."""

    def __init__(self, covariance: np.ndarray) -> None:
        self.covariance_ = covariance

    def fit(self, x: np.ndarray) -> _Given:
        return self


@pytest.mark.parametrize("k", [1, 5])
def test_neighbours_vote_by_cosine(k: int) -> None:
    from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

    model = KNeighborsClassifier(k, metric="cosine", algorithm="brute").fit(X, Y)
    expected = (k * model.predict_proba(NEW) + 0.01) / (k + 0.04)
    np.testing.assert_allclose(solved(NeighboursHead(12, 4, k)), expected, rtol=1e-4)
    values = X[:, 0]
    head = NeighboursHead(12, 1, k)
    head.solve(torch.from_numpy(X), torch.from_numpy(values), Task("regression", "text"))
    regression = KNeighborsRegressor(k, metric="cosine", algorithm="brute").fit(X, values)
    np.testing.assert_allclose(head(torch.from_numpy(NEW))[:, 0], regression.predict(NEW), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("head", [CentroidHead(12, 4), MahalanobisHead(12, 4), NeighboursHead(12, 4, 5)])
def test_one_example_a_class_is_enough(head: torch.nn.Module) -> None:
    found = solved(head, X[:4], Y[:4])
    assert np.isfinite(found).all()
    with torch.no_grad():
        if not isinstance(head, NeighboursHead):  # five of four neighbours are all of them: no vote is won
            assert (head(torch.from_numpy(X[:4])).argmax(1).numpy() == Y[:4]).all()


@pytest.mark.parametrize(("name", "kind"), [("centroid", "regression"), ("mahalanobis", "multi_label"),
                                            ("knn", "multi_label")])  # fmt: skip
def test_tasks_without_classes_are_refused(name: str, kind: str) -> None:
    setting = setting_of(tiny("bert"), kind)
    with pytest.raises(MethodError, match=f"{name}: .*probe"), adapted(setting, method_of(name), 0):
        pass


def test_the_neighbours_come_back_from_the_artifact(tmp_path) -> None:
    """An artifact's size follows the examples it keeps."""
    backbone = tiny("bert")
    for count in (12, 24):
        setting, method = setting_of(backbone, count=count), method_of("knn", neighbours=3)
        with adapted(setting, method, 0) as done:
            assert done.model.head.keys.shape == (count, 32)
            logits = logits_of(backbone, done.model.head, setting.validation, done.plan)
            save_adapted(tmp_path / str(count), done, "knn", method, setting)
        with reloaded(tmp_path / str(count), backbone) as (_, again, plan):
            found = logits_of(backbone, again.head, setting.validation, plan)
        torch.testing.assert_close(found, logits, rtol=0, atol=0)
