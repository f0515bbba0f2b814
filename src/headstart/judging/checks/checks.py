"""Checks: what base and tuned model are both asked. Each is a table of a suite, its fields are the table's keys."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np

from headstart.backbones.class_words import TEMPLATE, said
from headstart.comparison.rank import subset_of
from headstart.core.errors import ConfigurationError, DataError
from headstart.data.examples import Data, Examples
from headstart.judging.checks.perturb import Change, changed, check_change
from headstart.judging.gate import Gate
from headstart.judging.system import System
from headstart.stats.before_after import change_of, joined
from headstart.stats.metrics import Metric, chosen_metric, metric
from headstart.stats.predictions import Predictions


def within(place: Path, source: str) -> str:
    """What a suite names: in its own folder where it is there, else as it stands."""
    return str(place / source) if (place / source).exists() else source


def _no_columns(name: str) -> dict[str, str]:
    raise ConfigurationError(f"a slice by the column {name!r} needs the file that the data come from; give it as data.")


def _no_labelled(source: str) -> Examples:
    raise ConfigurationError(f"{source} can't be read as test examples beside examples that Python handed over.")


@dataclass(eq=False)
class Material:
    """The target's data, and other sets, each read once."""

    data: Data
    read: Callable[[str, str | None, str | None], Data]
    "source, text and label column to examples"
    place: Path = Path()
    "the folder that paths in the suite are relative to"
    column: Callable[[str], dict[str, str]] = field(default=_no_columns)
    "a column of the target's source, by the places of its rows"
    more: Callable[[str], Examples] = field(default=_no_labelled)
    "a labelled set with the target's classes, read by the rules of training"
    _labelled: dict[str, Examples] = field(default_factory=dict)
    _sets: dict[tuple[str, str | None, str | None], Data] = field(default_factory=dict)

    def labelled(self, source: str) -> Examples:
        if source not in self._labelled:
            self._labelled[source] = self.more(within(self.place, source))
        return self._labelled[source]

    def other(self, source: str, text: str | None, label: str | None) -> Data:
        key = (source, text, label)
        if key not in self._sets:
            try:
                self._sets[key] = self.read(within(self.place, source), text, label)
            except DataError as error:  # in a suite, columns are keys of the check, not flags
                raise DataError(str(error).replace("--label", "label").replace("--text", "text")) from error
        return self._sets[key]


@dataclass(frozen=True, kw_only=True)
class Check:
    """Fields that every kind has."""

    kind: ClassVar[str] = ""
    summary: ClassVar[str] = ""

    name: str = ""
    "what the report calls it [default: made of its kind]"
    metric: str | None = None
    "a metric of the task [default: that of its comparison]"
    gate: Gate = "not_regressed"
    "what lets a release pass: improved, not_regressed, or none to report it only"
    tolerance: float = 0.01
    "how much worse still counts as the same, in the metric's unit; shares of 1 for percentages"

    def title(self) -> str:
        return self.name or self.kind

    def measure(self, material: Material) -> Metric:
        return chosen_metric(material.data, self.metric)[0]

    def check(self, material: Material) -> None:
        """Raises `ConfigurationError` for what can't be asked of this task."""

    def notes(self, material: Material) -> list[str]:
        """What a reader has to know of the examples that are asked for."""
        return []

    def ask(self, system: System, material: Material) -> dict[str, Predictions]:
        """What the model says, by the name of the check or of each of its parts."""
        raise NotImplementedError


def answers(system: System, test: Examples, change: Change | None = None) -> Predictions:
    """What the model says of the test set, as it is or under a change; several checks ask for the same."""
    if (kept := change or "") not in system.kept:
        inputs = test.inputs()
        if change:
            inputs = [changed(value, change, int(number)) for number, value in zip(test.ids, inputs)]
        system.kept[kept] = system.scores(inputs)
    return Predictions.of(test, system.kept[kept])


@dataclass(frozen=True, kw_only=True)
class Target(Check):
    """The task's test set."""

    kind: ClassVar[str] = "target"
    summary: ClassVar[str] = "the task's test set"
    gate: Gate = "improved"

    def ask(self, system: System, material: Material) -> dict[str, Predictions]:
        return {self.title(): answers(system, material.data.test)}


@dataclass(frozen=True, kw_only=True)
class Retention(Check):
    """Another labelled set, under a probe that is solved anew on base and on tuned features."""

    kind: ClassVar[str] = "retention"
    summary: ClassVar[str] = "another labelled set, by a probe solved anew on the features: what they have lost"

    data: str = ""
    "the labelled set: a file, a folder or a hub name; paths are relative to the suite's file"
    text: str | None = None
    "its input column [default: found]"
    label: str | None = None
    "its label column [default: found]"
    examples: int = 1000
    "most training examples for the probe"

    def title(self) -> str:
        return self.name or f"retention of {Path(self.data).stem}"

    def measure(self, material: Material) -> Metric:
        return metric(self._other(material).task.kind, self.metric)

    def check(self, material: Material) -> None:
        if not self.data:
            raise ConfigurationError("a check of kind retention needs data: a labelled set of another task.")
        other, own = self._other(material).task.modality, material.data.task.modality
        if other.partition("_")[0] != own.partition("_")[0]:
            raise ConfigurationError(f"{self.title()}: {self.data} holds {other}s, but the model reads {own}s.")

    def _other(self, material: Material) -> Data:
        return material.other(self.data, self.text, self.label)

    def ask(self, system: System, material: Material) -> dict[str, Predictions]:
        other = self._other(material)
        scores = system.probed(subset_of(other.train, self.examples), other.test.inputs(), other.task)
        return {self.title(): Predictions.of(other.test, scores)}


@dataclass(frozen=True, kw_only=True)
class Retrieval(Check):
    """How often an example's nearest neighbour, by the cosine of the features, has its label: no head takes part."""

    kind: ClassVar[str] = "retrieval"
    summary: ClassVar[str] = "how often the nearest of all other examples of a set has the same label, by cosine"

    data: str = ""
    "a labelled set [default: the task's]; its test split is searched"
    text: str | None = None
    "its input column [default: found]"
    label: str | None = None
    "its label column [default: found]"
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
        if task.modality.partition("_")[0] != material.data.task.modality.partition("_")[0]:
            raise ConfigurationError(f"{self.title()}: {self.data} holds {task.modality}s, which the model can't read.")
        if self.metric:
            raise ConfigurationError(f"{self.title()}: its metric is the share of like neighbours; leave metric out.")

    def ask(self, system: System, material: Material) -> dict[str, Predictions]:
        test = self._data(material).test
        near = system.nearest(test.inputs())
        return {self.title(): hits(test.ids, test.targets[near] == test.targets, test.clusters)}


@dataclass(frozen=True, kw_only=True)
class Zeroshot(Check):
    """Another labelled set of images by the names of its classes: what the tower for texts still finds in the features.

    Asked of CLIP and SigLIP; the tower for texts is the base's.
    """

    kind: ClassVar[str] = "zeroshot"
    summary: ClassVar[str] = "a labelled set of images by its classes' names, under CLIP or SigLIP: nothing is solved"

    data: str = ""
    "a labelled set [default: the task's]; its test split is asked for"
    label: str | None = None
    "its label column [default: found]"
    templates: tuple[str, ...] = (TEMPLATE,)
    "how a label is put, such as an icon of a {}; several are averaged"
    tolerance: float = 0.02

    def title(self) -> str:
        return self.name or (f"{self.kind} on {Path(self.data).stem}" if self.data else self.kind)

    def measure(self, material: Material) -> Metric:
        return metric("single_label", self.metric)

    def _data(self, material: Material) -> Data:
        return material.other(self.data, None, self.label) if self.data else material.data

    def check(self, material: Material) -> None:
        task = self._data(material).task
        if (task.kind, task.modality) != ("single_label", "image"):
            raise ConfigurationError(f"{self.title()}: it asks for images with one label each.")
        said(task.labels, self.templates)

    def ask(self, system: System, material: Material) -> dict[str, Predictions]:
        data = self._data(material)
        if system.backbone.words is None:
            raise ConfigurationError(f"{self.title()}: {system.backbone.source} has no tower for texts.")
        features = system.features(data.test.inputs())
        weight = system.backbone.words(data.task.labels, self.templates).weight(features)
        scores = (features @ weight.T).softmax(1).cpu().numpy()
        return {self.title(): Predictions.of(data.test, scores)}


def hits(ids: np.ndarray, hit: np.ndarray, clusters: np.ndarray | None = None) -> Predictions:
    """Shares of hits [n] as predictions, so that all statistics take them as accuracy."""
    scores = np.stack([~hit, hit], 1).astype(np.float32)
    return Predictions(ids, np.ones(len(ids), dtype=np.int64), scores, clusters)


@dataclass(frozen=True, kw_only=True)
class Robustness(Check):
    """How much the metric moves under a change that should not matter; difference of differences against the base."""

    kind: ClassVar[str] = "robustness"
    summary: ClassVar[str] = "what a change that should not matter costs on the test set: typos, case, noise, blur, …"

    change: Change = "typos"
    "texts: typos, case, punctuation; images: noise, blur, shift, brightness"

    def title(self) -> str:
        return self.name or f"{self.kind} to {self.change}"

    def measure(self, material: Material) -> Metric:
        return change_of(super().measure(material), material.data.task.kind)

    def check(self, material: Material) -> None:
        check_change(self.change, material.data.task.modality)

    def ask(self, system: System, material: Material) -> dict[str, Predictions]:
        test = material.data.test
        return {self.title(): joined(answers(system, test), answers(system, test, self.change))}


@dataclass(frozen=True, kw_only=True)
class Invariance(Robustness):
    """How often a change that should not matter leaves what the model says as it is, right or wrong."""

    kind: ClassVar[str] = "invariance"
    summary: ClassVar[str] = "how often such a change leaves the model's answer as it was, right or wrong"
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
