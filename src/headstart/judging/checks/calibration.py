"""Check `calibration`, with temperature scaling."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch

from headstart.core.errors import ConfigurationError, unknown
from headstart.engine.losses.temperature import temperature as of_logits
from headstart.judging.checks.checks import CHECKS, Check, answers
from headstart.judging.checks.material import Material
from headstart.judging.gate import Gate
from headstart.judging.system import System
from headstart.stats.predictions import Predictions
from headstart.tasks.task import Task


@CHECKS.register("calibration")
@dataclass(frozen=True, kw_only=True)
class Calibration(Check):
    """Calibration of the probabilities, with or without temperature scaling."""

    kind: ClassVar[str] = "calibration"
    summary: ClassVar[str] = "calibration of the probabilities, optionally with a temperature fitted on validation"
    gate: Gate = "none"

    metric: str | None = "ece"
    "metric of calibration: ece, brier or log_loss"
    temperature: bool = False
    "scale the logits by a temperature, fitted for each model on the validation examples"

    def title(self) -> str:
        return self.name or f"calibration{', with temperature' if self.temperature else ''} ({self.metric})"

    def check(self, material: Material) -> None:
        if not material.data.task.exclusive:
            raise ConfigurationError(
                f"{self.title()}: a {material.data.task.kind} task has no probabilities of classes."
            )
        if self.metric not in ("ece", "brier", "log_loss"):
            raise unknown(f"metric of {self.title()}:", str(self.metric), ["ece", "brier", "log_loss"])
        if self.temperature and not len(material.data.validation):
            raise ConfigurationError(f"{self.title()}: a temperature is fitted on validation, and there is none.")

    def ask(self, system: System, material: Material) -> dict[str, Predictions]:
        found = answers(system, material.data.test)
        if self.temperature:
            held = material.data.validation
            if "validation" not in system.kept:
                system.kept["validation"] = system.scores(held.inputs())
            t = temperature(system.kept["validation"], held.targets)
            found = replace(found, scores=cooled(found.scores, t))
        return {self.title(): found}


def temperature(scores: np.ndarray, targets: np.ndarray) -> float:
    """The temperature (`engine.temperature`) of log p, fitted on held-out examples.

    scores: [n, C] probabilities; targets: [n] classes.
    """
    return of_logits(torch.from_numpy(_logits(scores)), torch.from_numpy(targets), Task("single_label", "text"))


def cooled(scores: np.ndarray, t: float) -> np.ndarray:
    """`softmax(log p / T)` of probabilities [n, C]."""
    logits = _logits(scores) / t
    logits -= logits.max(1, keepdims=True)
    found: np.ndarray = np.exp(logits)
    return (found / found.sum(1, keepdims=True)).astype(np.float32)


def _logits(scores: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(scores.astype(np.float64), 1e-30))
