"""Check `test`: quality on another labelled set of the same task."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from headstart.core.errors import ConfigurationError
from headstart.core.records.decoding import ALONE
from headstart.data.examples import Examples
from headstart.judging.checks.checks import CHECKS, Check
from headstart.judging.checks.material import Material
from headstart.judging.gate import Gate
from headstart.judging.system import System
from headstart.stats.predictions import Predictions


@CHECKS.register("test")
@dataclass(frozen=True, kw_only=True)
class Labelled(Check):
    """Quality on labelled examples from after the training, with the model's classes; uses all rows."""

    kind: ClassVar[str] = "test"
    summary: ClassVar[str] = "another labelled set with the model's classes, such as last month's examples"
    gate: Gate = "none"

    data: str = ""
    "the labelled set: a file, a folder or a hub name; paths are relative to the suite's file"

    def title(self) -> str:
        return self.name or Path(self.data).stem or self.kind

    def check(self, material: Material) -> None:
        if not self.data:
            raise ConfigurationError("a check of kind test needs data: a labelled set with the model's classes.")
        if not len(self._examples(material)):
            raise ConfigurationError(f"{self.title()}: {self.data} holds no example that can be used.")

    def _examples(self, material: Material) -> Examples:
        return material.labelled(self.data)

    def notes(self, material: Material) -> list[str]:
        known = same_inputs(self._examples(material), material.data.train)
        if not known.any():
            return []
        return [
            f"{self.title()}: {int(known.sum())} of {len(known)} examples were trained on; results on them are too good"
        ]

    def ask(self, system: System, material: Material) -> dict[str, Predictions]:
        test = self._examples(material)
        return {self.title(): material.data.task.predictions(test, system.scores(test.inputs()))}


def same_inputs(examples: Examples, others: Examples) -> np.ndarray:
    """[n] True for examples whose input is among those of the other examples; of images, the bytes of the files."""
    there = {hash(value) for value in others.decoded_by(ALONE).inputs()}
    return np.array([hash(value) in there for value in examples.decoded_by(ALONE).inputs()], dtype=bool)
