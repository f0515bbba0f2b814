"""Predictions that trainings leave: where they are in the run's folder, and how one stands on validation."""

from __future__ import annotations

import math
from pathlib import Path

from headstart.comparison.race.race import Standing
from headstart.comparison.trials.trial import ANSWERS
from headstart.core.disk.files import slug
from headstart.core.records.trial import Run
from headstart.stats.predictions import Predictions


def predictions_file(folder: Path, name: str, seed: int) -> Path:
    """Path of the test predictions of a training in the run folder."""
    return folder / "predictions" / f"{slug(name)}-seed{seed}.safetensors"


def validation_file(folder: Path, name: str, seed: int) -> Path:
    """Path of the validation predictions of a training in the run folder, for `improve`."""
    return folder / "predictions" / "validation" / f"{slug(name)}-seed{seed}.safetensors"


def standing(place: Path, run: Run, control: bool) -> Standing:
    """Validation result of a finished training in this folder."""
    score, loss = (math.nan if value is None else value for value in (run.score, run.validation_loss))
    return Standing(Predictions.read(place / ANSWERS), score, loss, run.seconds, control)
