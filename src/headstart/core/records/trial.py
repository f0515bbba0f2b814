"""Specs of one training, as plain data that can be sent to another machine, and its result.

A spec holds names, paths, fingerprints, settings and the seed, never tensors or functions.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

from headstart.core.records.record import Record
from headstart.core.records.training import Point, Share

SCHEMA = "headstart.trial/1"


@dataclass(frozen=True)
class DataSpec(Record):
    """Labelled examples in their three splits."""

    fingerprint: str
    "hash of the whole source as read: ids, inputs and targets"
    rows: str
    "hash of the task, and of the ids and targets of each split, which separates folds and subsets of one source"
    source: str | None = None
    "file, folder or hub name; None for objects of Python, which only an open workshop has"
    options: dict[str, Any] = field(default_factory=dict)
    "options of `headstart.read`"


@dataclass(frozen=True)
class ModelSpec(Record):
    """A pretrained model."""

    fingerprint: str
    "hash of all weights"
    source: str | None = None
    "hub name, folder or `builtin/…`; None for a module of Python, which only an open workshop has"
    options: dict[str, Any] = field(default_factory=dict)
    "options of `headstart.load`"


@dataclass(frozen=True)
class IngredientSpec(Record):
    """A finished training that a soup may average."""

    name: str
    folder: str
    "its folder, relative to that of the soup's training"


@dataclass(frozen=True)
class TrialSpec(Record):
    """One training: a method with its settings and seed, on these data and this model."""

    data: DataSpec
    model: ModelSpec
    name: str
    "name in tables and messages, such as `lora@wide`"
    method: str
    "registered name, such as `lora`, or two joined ones: `distill+lora`"
    settings: dict[str, Any]
    "all fields of the method"
    options: dict[str, Any]
    "all fields of `headstart.engine.job.Options`"
    metric: str
    "metric of validation"
    seed: int
    device: str = "cpu"
    precision: str = "fp32"
    share: float = 1.0
    "length as a share of the usual steps; the schedule ends with it"
    ingredients: tuple[IngredientSpec, ...] = ()
    keeps: bool = True
    "False if only the validation results are wanted; the model is then not saved"
    schema: str = SCHEMA

    @property
    def identity(self) -> dict[str, Any]:
        """All that its result depends on: data and model by their fingerprints, because files may move."""
        found = self.to_json()
        found["data"] = {"fingerprint": self.data.fingerprint, "rows": self.data.rows}
        del found["model"]["source"]
        return found

    def changed(self, other: TrialSpec) -> list[str]:
        """The parts of the identity in which another training differs."""
        theirs = other.identity
        return [part for part, value in self.identity.items() if theirs[part] != value]

    @property
    def key(self) -> str:
        """Name of its folder: the seed, and a hash of its identity."""
        text = json.dumps(self.identity, sort_keys=True)
        return f"seed{self.seed}-{hashlib.blake2b(text.encode(), digest_size=6).hexdigest()}"

    @property
    def title(self) -> str:
        return f"{self.name} seed {self.seed}"


@dataclass(frozen=True)
class Run(Record):
    """Results of one training, without its model."""

    seed: int
    configuration: dict[str, Any]
    status: str
    validation_value: float | None
    validation_loss: float | None
    score: float | None
    seconds: float
    peak_memory_bytes: int | None
    trained_parameters: int
    trained_share: float
    best_epoch: float | None
    curve: tuple[Point, ...] = ()
    interpolation: tuple[Share, ...] = ()
    artifact_bytes: int | None = None
    charged: float = 0.0
    "seconds that other runs had spent on the cache"
    temperature: float = 1.0
    "temperature of the head's scores, fitted after training"
    notes: tuple[str, ...] = ()
    share: float = 1.0
    "length as a share of the usual steps; the schedule ended with it"
    view: dict[str, Any] | None = None
    "prompt around an input, of a prompted model: instruction, demonstrations, words"
    tokens_in: float | None = None
    "mean tokens that the model reads per validation text, its prompt included"
    tokens_out: float | None = None
    "mean tokens of an answer in words; 0 where a head on features answers"
