"""Checks, asked of models whose answers are known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from backbones.tiny import tiny
from headstart.core.errors import ConfigurationError
from headstart.data.embedded import digits
from headstart.engine.machine.precision import compute
from headstart.judging.checks.calibration import Calibration
from headstart.judging.checks.checks import Invariance, Retention, Retrieval, Robustness, Target
from headstart.judging.checks.material import Material
from headstart.judging.checks.slices import Slice, thirds
from headstart.judging.system import base_system
from headstart.stats.metrics import metric
from headstart.tasks.task import Task

ACCURACY = metric("single_label")


@pytest.fixture(scope="module")
def material() -> Material:
    return Material(digits(), lambda *source: digits())


@pytest.fixture(scope="module")
def base(material: Material) -> Any:
    return base_system(tiny("timm_resnet"), compute("cpu", "fp32"), material.data.train, material.data.task)


def test_slices_are_parts_of_the_test_set(material: Material, base: Any) -> None:
    whole = Target().ask(base, material)["target"]
    parts = Slice(by="class").ask(base, material)
    assert sorted(parts) == [f"class: {label}" for label in material.data.task.labels]
    assert sum(map(len, parts.values())) == len(whole)
    mean = sum(len(part) * ACCURACY.of(part) for part in parts.values()) / len(whole)
    assert mean == pytest.approx(ACCURACY.of(whole))
    assert list(Slice(by="class", least=10_000).ask(base, material)) == []
    (note,) = Slice(by="class", least=10_000).notes(material)
    assert note.startswith("slice by class: left out, with fewer than 10000 examples: 0 ("), "what is left out is said"
    assert note.count("(") == 10
    assert Slice(by="class").notes(material) == []
    assert next(iter(Slice(by="source").ask(base, material).values())).ids.tolist() == whole.ids.tolist()


def test_retrieval_is_scikit_learns_nearest_neighbour(material: Material, base: Any) -> None:
    from sklearn.neighbors import NearestNeighbors

    test = material.data.test
    (found,) = Retrieval().ask(base, material).values()
    features = base.features(test.inputs()).double().numpy()
    near = NearestNeighbors(n_neighbors=2, metric="cosine").fit(features).kneighbors(features)[1]
    other = np.where(near[:, 0] == np.arange(len(test)), near[:, 1], near[:, 0])
    assert ACCURACY.of(found) == pytest.approx((test.targets[other] == test.targets).mean(), abs=0.003)  # ties


def test_retention_is_a_probe_of_the_other_set(material: Material, base: Any) -> None:
    (found,) = Retention(data="other", examples=100_000).ask(base, material).values()
    assert len(found) == len(material.data.test)
    # the other set is the same here, so that its probe is that of the base at the top
    from headstart.judging.system import solved

    train = material.data.train
    head = solved(base.features(train.inputs()), torch.from_numpy(train.targets), material.data.task)
    with torch.no_grad():
        said = head(base.features(material.data.test.inputs())).argmax(1).numpy()
    assert (found.scores.argmax(1) == said).all()


def test_a_set_is_read_once_and_relative_to_the_suite(tmp_path: Path) -> None:
    (tmp_path / "other.csv").write_text("")
    asked: list[tuple[str, ...]] = []
    material = Material(digits(), lambda *source: asked.append(source) or digits(), tmp_path)  # type: ignore[func-returns-value]
    for _ in range(2):
        material.other("other.csv", None, "label")
    material.other("hub/name", None, None)
    assert asked == [(str(tmp_path / "other.csv"), None, "label"), ("hub/name", None, None)]


@pytest.mark.parametrize(
    ("check", "kind", "words"),
    [
        (Slice(by="class"), "regression", "choose by=source"),
        (Slice(by="length"), "single_label", "images have no length"),
        (Invariance(change="noise"), "regression", "one answer to keep"),
        (Invariance(change="noise", metric="accuracy"), "single_label", "leave metric out"),
        (Retrieval(), "multi_label", "no one label"),
        (Retention(), "single_label", "needs data"),
    ],
)
def test_what_a_task_does_not_allow_is_said(check: Any, kind: str, words: str) -> None:
    data = digits()
    other = SimpleNamespace(task=Task(kind, "image"))
    material = Material(other if kind != "single_label" else data, lambda *source: data)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match=words):
        check.check(material)


@pytest.mark.parametrize(
    ("lengths", "cuts"),
    [
        ([1, 2, 3, 4, 5, 6], (2, 4)),
        ([5] * 50 + [6] * 30 + [9] * 20, (5, 6)),  # 50, 30 and 20 %, where quantiles put 5 and 6 the same
        ([3] * 10 + [5] * 60 + [9] * 30, (3, 5)),  # the crowd in the middle is the middle
        ([5] * 100, (0, 5)),
        ([5] * 90 + [7] * 10, (0, 5)),
    ],
)
def test_texts_of_one_length_stay_together_and_parts_are_as_even_as_can_be(
    lengths: list[int], cuts: tuple[int, int]
) -> None:
    assert thirds(np.random.default_rng(0).permutation(lengths)) == cuts


def test_clusters_of_the_data_reach_every_check(material: Material, base: Any) -> None:
    import copy

    test = copy.copy(material.data.test)
    test.clusters = np.arange(len(test)) // 5
    held = Material(replace(material.data, test=test), material.read)
    checks = (Target(), Retrieval(), Robustness(change="noise"), Invariance(change="noise"), Calibration())
    for check in checks:
        (found,) = check.ask(base, held).values()
        assert found.clusters is not None
        assert found.clusters.tolist() == test.clusters.tolist(), check.kind
    part = next(iter(Slice(by="class").ask(base, held).values()))
    assert part.clusters is not None
    assert len(part.clusters) == len(part)
