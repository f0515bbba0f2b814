"""Checks of tuned models against the base. Each is a table of a suite; its fields are the keys of the table."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from headstart.backbones.class_words import TEMPLATE, said
from headstart.comparison.rank import subset_of
from headstart.core.errors import ConfigurationError
from headstart.core.registry import Registry
from headstart.data.examples import Data, Examples
from headstart.judging.checks.material import Material
from headstart.judging.checks.perturb import Change, changed, check_change
from headstart.judging.gate import Gate
from headstart.judging.system import System
from headstart.stats.before_after import change_of, joined
from headstart.stats.metric_choice import chosen_metric
from headstart.stats.metrics import Metric, metric
from headstart.stats.predictions import Predictions

CHECKS: Registry[type[Check]] = Registry("kind of check", "headstart.judging.checks")


@dataclass(frozen=True, kw_only=True)
class Check:
    """Base class of checks, with their common fields."""

    kind: ClassVar[str] = ""
    summary: ClassVar[str] = ""

    name: str = ""
    "name of the check in the report [default: from its kind]"
    metric: str | None = None
    "metric [default: that of the comparison]"
    gate: Gate = "not_regressed"
    "condition of the gate: improved, not_regressed, or none to report only"
    tolerance: float = 0.01
    "non-inferiority margin in units of the metric; shares of 1 for percentages"

    def title(self) -> str:
        return self.name or self.kind

    def measure(self, material: Material) -> Metric:
        return chosen_metric(material.data, self.metric)[0]

    def check(self, material: Material) -> None:
        """Raises `ConfigurationError` if the check does not fit the task."""

    def notes(self, material: Material) -> list[str]:
        """Notes for the reader about the examples."""
        return []

    def ask(self, system: System, material: Material) -> dict[str, Predictions]:
        """Predictions of the model, by the name of the check or of its parts."""
        raise NotImplementedError


def answers(system: System, test: Examples, change: Change | None = None) -> Predictions:
    """Cached predictions for the test set, unchanged or perturbed, because several checks need them."""
    if (kept := change or "") not in system.kept:
        inputs = test.inputs()
        if change:
            inputs = [changed(value, change, int(number)) for number, value in zip(test.ids, inputs)]
        system.kept[kept] = system.scores(inputs)
    return system.task.predictions(test, system.kept[kept])


@CHECKS.register("target")
@dataclass(frozen=True, kw_only=True)
class Target(Check):
    """Quality on the task's test set."""

    kind: ClassVar[str] = "target"
    summary: ClassVar[str] = "the task's test set"
    gate: Gate = "improved"

    def ask(self, system: System, material: Material) -> dict[str, Predictions]:
        return {self.title(): answers(system, material.data.test)}


@CHECKS.register("retention")
@dataclass(frozen=True, kw_only=True)
class Retention(Check):
    """Forgetting: quality on another labelled set, by probes on the features of the base and of the tuned model."""

    kind: ClassVar[str] = "retention"
    summary: ClassVar[str] = (
        "quality on another labelled set, by a new probe on the features, which measures forgetting"
    )

    data: str = ""
    "labelled set: a file, a folder or a hub name; paths are relative to the suite's file"
    text: str | None = None
    "input column [default: detected]"
    label: str | None = None
    "label column [default: detected]"
    examples: int = 1000
    "maximum number of training examples of the probe"

    def title(self) -> str:
        return self.name or f"retention of {Path(self.data).stem}"

    def measure(self, material: Material) -> Metric:
        return self._other(material).task.metric(self.metric)

    def check(self, material: Material) -> None:
        if not self.data:
            raise ConfigurationError("a check of kind retention needs data: a labelled set of another task.")
        other, own = (data.task.input for data in (self._other(material), material.data))
        if other.read_by != own.read_by:
            raise ConfigurationError(f"{self.title()}: {self.data} holds {other.plural}; the model reads {own.plural}.")

    def _other(self, material: Material) -> Data:
        return material.other(self.data, self.text, self.label)

    def ask(self, system: System, material: Material) -> dict[str, Predictions]:
        other = self._other(material)
        scores = system.probed(subset_of(other.train, self.examples), other.test.inputs(), other.task)
        return {self.title(): other.task.predictions(other.test, scores)}


@CHECKS.register("retrieval")
@dataclass(frozen=True, kw_only=True)
class Retrieval(Check):
    """Share of examples whose nearest neighbour, by cosine of the features, has the same label; uses no head."""

    kind: ClassVar[str] = "retrieval"
    summary: ClassVar[str] = "share of examples whose nearest neighbour by cosine has the same label"

    data: str = ""
    "labelled set whose test split is used [default: the task's]"
    text: str | None = None
    "input column [default: detected]"
    label: str | None = None
    "label column [default: detected]"
    tolerance: float = 0.02

    def title(self) -> str:
        return self.name or (f"{self.kind} in {Path(self.data).stem}" if self.data else self.kind)

    def measure(self, material: Material) -> Metric:
        return metric("single_label")

    def _data(self, material: Material) -> Data:
        return material.other(self.data, self.text, self.label) if self.data else material.data

    def check(self, material: Material) -> None:
        task = self._data(material).task
        if not task.exclusive:
            raise ConfigurationError(f"{self.title()}: a {task.kind} task has no one label for neighbours to share.")
        given = task.input
        if given.read_by != material.data.task.input.read_by:
            raise ConfigurationError(f"{self.title()}: {self.data} holds {given.plural}, which the model can't read.")
        if self.metric:
            raise ConfigurationError(f"{self.title()}: its metric is the share of like neighbours; leave metric out.")

    def ask(self, system: System, material: Material) -> dict[str, Predictions]:
        test = self._data(material).test
        near = system.nearest(test.inputs())
        return {self.title(): hits(test.ids, test.targets[near] == test.targets, test.clusters)}


@CHECKS.register("zeroshot")
@dataclass(frozen=True, kw_only=True)
class Zeroshot(Check):
    """Zero-shot accuracy on another labelled set of images, with the text tower of the base.

    For CLIP and SigLIP; it shows how far the tuned features still fit the text tower.
    """

    kind: ClassVar[str] = "zeroshot"
    summary: ClassVar[str] = "zero-shot accuracy on a labelled set of images, for CLIP or SigLIP"

    data: str = ""
    "labelled set whose test split is used [default: the task's]"
    label: str | None = None
    "label column [default: detected]"
    templates: tuple[str, ...] = (TEMPLATE,)
    "prompt templates for class names, such as an icon of a {}; several are averaged"
    tolerance: float = 0.02

    def title(self) -> str:
        return self.name or (f"{self.kind} on {Path(self.data).stem}" if self.data else self.kind)

    def measure(self, material: Material) -> Metric:
        return metric("single_label", self.metric)

    def _data(self, material: Material) -> Data:
        return material.other(self.data, None, self.label) if self.data else material.data

    def check(self, material: Material) -> None:
        task = self._data(material).task
        if not task.exclusive or not task.input.is_image:
            raise ConfigurationError(f"{self.title()}: it asks for images with one label each.")
        said(task.labels, self.templates)

    def ask(self, system: System, material: Material) -> dict[str, Predictions]:
        data = self._data(material)
        if system.backbone.words is None:
            raise ConfigurationError(f"{self.title()}: {system.backbone.source} has no tower for texts.")
        features = system.features(data.test.inputs())
        weight = system.backbone.words(data.task.labels, self.templates).weight(features)
        scores = (features @ weight.T).softmax(1).cpu().numpy()
        return {self.title(): data.task.predictions(data.test, scores)}


def hits(ids: np.ndarray, hit: np.ndarray, clusters: np.ndarray | None = None) -> Predictions:
    """Shares of hits [n] as predictions, so that all statistics treat them as accuracy."""
    scores = np.stack([~hit, hit], 1).astype(np.float32)
    return Predictions(ids, np.ones(len(ids), dtype=np.int64), scores, clusters)


@CHECKS.register("robustness")
@dataclass(frozen=True, kw_only=True)
class Robustness(Check):
    """Robustness: change of the metric under a perturbation, as difference of differences against the base."""

    kind: ClassVar[str] = "robustness"
    summary: ClassVar[str] = "loss on the test set by a perturbation: typos, case, noise, blur, …"

    change: Change = "typos"
    "perturbation; for texts typos, case or punctuation, for images noise, blur, shift or brightness"

    def title(self) -> str:
        return self.name or f"{self.kind} to {self.change}"

    def measure(self, material: Material) -> Metric:
        return change_of(super().measure(material), material.data.task.kind)

    def check(self, material: Material) -> None:
        check_change(self.change, material.data.task.modality)

    def ask(self, system: System, material: Material) -> dict[str, Predictions]:
        test = material.data.test
        return {self.title(): joined(answers(system, test), answers(system, test, self.change))}


@CHECKS.register("invariance")
@dataclass(frozen=True, kw_only=True)
class Invariance(Robustness):
    """Invariance: share of predictions that a perturbation does not change, right or wrong."""

    kind: ClassVar[str] = "invariance"
    summary: ClassVar[str] = "share of predictions that a perturbation does not change, right or wrong"
    tolerance: float = 0.02

    def title(self) -> str:
        return self.name or f"{self.kind} to {self.change}"

    def measure(self, material: Material) -> Metric:
        return metric("single_label")

    def check(self, material: Material) -> None:
        super().check(material)
        if not material.data.task.exclusive:
            raise ConfigurationError(f"{self.title()}: only a single_label task has one answer to keep.")
        if self.metric:
            raise ConfigurationError(f"{self.title()}: its metric is the share of answers kept; leave metric out.")

    def ask(self, system: System, material: Material) -> dict[str, Predictions]:
        test = material.data.test
        before, after = answers(system, test), answers(system, test, self.change)
        return {self.title(): hits(test.ids, before.scores.argmax(1) == after.scores.argmax(1), test.clusters)}
