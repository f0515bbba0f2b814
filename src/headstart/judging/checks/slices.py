"""Check `slice`: parts of the test set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from headstart.core.errors import ConfigurationError
from headstart.data.examples import Examples
from headstart.data.parts import by_column, by_file, grouped
from headstart.judging.checks.checks import CHECKS, Check, answers
from headstart.judging.checks.material import Material
from headstart.judging.system import System
from headstart.stats.predictions import Predictions


@CHECKS.register("slice")
@dataclass(frozen=True, kw_only=True)
class Slice(Check):
    """Quality on parts of the task's test set."""

    kind: ClassVar[str] = "slice"
    summary: ClassVar[str] = "parts of the test set: by class, by length of the text, by file, by another column"

    by: Literal["class", "length", "source", "column"] = "class"
    "criterion of the parts: class; length (thirds of the texts by words); source (file); column (values of a column)"
    column: str = ""
    "name of the column for by=column, such as language"
    least: int = 20
    "minimum number of examples of a part"
    tolerance: float = 0.02

    def title(self) -> str:
        return self.name or f"{self.kind} by {self.column or self.by}"

    def check(self, material: Material) -> None:
        task = material.data.task
        if self.by == "class" and not task.exclusive:
            raise ConfigurationError(f"{self.title()}: a {task.kind} task has no classes; choose by=source.")
        if (self.by == "column") != bool(self.column):
            raise ConfigurationError(
                f"{self.title()}: by=column needs column, the name of one, and nothing else takes it."
            )
        if self.by == "column":
            self._parts(material)  # raises if the column does not exist
        if self.by == "length" and task.input.is_image:
            raise ConfigurationError(f"{self.title()}: images have no length; choose by=class or by=source.")

    def notes(self, material: Material) -> list[str]:
        found = self._parts(material)
        few = [f"{part.partition(': ')[2]} ({len(rows)})" for part, rows in found.items() if len(rows) < self.least]
        told = [f"{self.title()}: left out, with fewer than {self.least} examples: {', '.join(few)}"] if few else []
        if self.by == "length":
            short, long = thirds(_words(material.data.test))
            told.insert(0, f"length: short up to {short:g} words, long above {long:g}")
        return told

    def ask(self, system: System, material: Material) -> dict[str, Predictions]:
        whole = answers(system, material.data.test)
        found = self._parts(material)
        return {part: whole.take(rows) for part, rows in found.items() if len(rows) >= self.least}

    def _parts(self, material: Material) -> dict[str, np.ndarray]:
        """Indices of the examples by part."""
        test = material.data.test
        if self.by == "class":
            parts = grouped(np.array(material.data.task.labels)[test.targets])
        elif self.by == "column":
            parts = by_column(test, material.column(self.column), self.column)
        elif self.by == "source":
            parts = by_file(test)
        else:
            parts = grouped(np.array(["short", "middle", "long"])[np.searchsorted(thirds(_words(test)), _words(test))])
        return {f"{self.name or self.column or self.by}: {part}": rows for part, rows in parts.items()}


def thirds(lengths: np.ndarray) -> tuple[float, float]:
    """Upper limits of the short and the middle third of the lengths.

    Equal lengths stay together, on the side that makes the parts more even; if most texts have one length, a part can
    be empty, and its limit is 0 or that of the part before.
    """
    values, counts = np.unique(lengths, return_counts=True)
    ends, shares = np.concatenate([[0], values]), np.concatenate([[0.0], counts.cumsum() / counts.sum()])
    short, long = (int(np.abs(shares - share).argmin()) for share in (1 / 3, 2 / 3))
    return float(ends[short]), float(ends[long])


def _words(test: Examples) -> np.ndarray:
    """[n] number of words of each text."""
    texts = [" ".join(x) if isinstance(x, tuple) else str(x) for x in test.inputs()]
    return np.array([len(text.split()) for text in texts])
