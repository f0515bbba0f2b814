"""A check and a metric from other packages: one file each, found through entry points."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import headstart
from backbones.tiny import WORDS, save
from headstart.core.errors import ConfigurationError
from headstart.judging.checks.checks import CHECKS
from headstart.stats.metrics import ADDED, METRICS, Metric, add, metric, metrics_of

METRIC = '''
"""Share of examples whose true class is among the two best."""

import numpy as np

from headstart.stats.metrics import Metric, add


def rows(predictions):
    best = np.argsort(-predictions.scores, axis=1)[:, :2]
    return np.stack([(best == predictions.targets[:, None]).any(1), np.ones(len(best))], 1).astype(float)


add(Metric("top_two", True, rows, lambda sums: sums[..., 0] / sums[..., 1]), "single_label")
'''
CHECK = '''
"""The test set in capitals."""

from dataclasses import dataclass
from typing import ClassVar

from headstart.judging.checks.checks import CHECKS, Check
from headstart.stats.predictions import Predictions


@CHECKS.register("shouted")
@dataclass(frozen=True, kw_only=True)
class Shouted(Check):
    kind: ClassVar[str] = "shouted"
    summary: ClassVar[str] = "the test set in capitals"

    marks: int = 1
    "exclamation marks at the end"

    def ask(self, system, material):
        test = material.data.test
        loud = [text.upper() + "!" * self.marks for text in test.inputs()]
        return {self.title(): Predictions.of(test, system.scores(loud))}
'''


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for group, name, text in (("metrics", "toy_top_two", METRIC), ("checks", "toy_shouted", CHECK)):
        (tmp_path / f"{name}.py").write_text(text)
        told = tmp_path / f"{name}-1.0.dist-info"
        told.mkdir()
        (told / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (told / "entry_points.txt").write_text(f"[headstart.{group}]\n{name} = {name}\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    for registry in (ADDED, CHECKS):
        monkeypatch.setattr(registry, "_filled", False)
    yield
    ADDED._items.pop("top_two", None)
    CHECKS._items.pop("shouted", None)
    for name in ("toy_top_two", "toy_shouted"):
        sys.modules.pop(name, None)


@pytest.mark.usefixtures("installed")
def test_a_metric_and_a_check_of_other_packages_rank_and_judge(tmp_path: Path) -> None:
    assert list(metrics_of("single_label"))[-1] == "top_two"
    assert "top_two" not in metrics_of("multi_label")
    words = ["bad", "good", "great"]
    lines = [f"the {words[at % 3]} film {WORDS[at % 40]} {WORDS[at % 37]},{words[at % 3]}" for at in range(150)]
    (tmp_path / "films.csv").write_text("\n".join(["text,label", *dict.fromkeys(lines)]))
    found = headstart.compare(
        tmp_path / "films.csv", save("bert", tmp_path / "bert"), seeds=1, trials=1, epochs=2, methods=["lora"],
        metric="top_two", out=tmp_path / "run",
    )  # fmt: skip
    assert found.task.metric == "top_two"
    assert found.rows[0].value > 0.5
    (tmp_path / "suite.toml").write_text('[[check]]\nkind = "shouted"\nmarks = 3\nmetric = "top_two"\ngate = "none"\n')
    judged = headstart.judge(tmp_path / "run", suite=tmp_path / "suite.toml")
    assert [(one.check, one.metric) for one in judged.models[0].checks] == [("shouted", "top_two")]
    assert judged.models[0].checks[0].tuned.value > 0.5


def test_without_them_both_are_unknown(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="top_two"):
        metric("single_label", "top_two")
    assert "shouted" not in CHECKS
    assert {"target", "slice", "lm_eval", "invariance"} <= set(CHECKS)
    assert all(CHECKS[kind].kind == kind for kind in CHECKS)


def test_a_metric_of_a_name_that_is_taken_is_a_mistake() -> None:
    accuracy: Metric = METRICS["single_label"]["accuracy"]
    with pytest.raises(ValueError, match="have a metric 'accuracy' already"):
        add(accuracy, "regression", "single_label")
