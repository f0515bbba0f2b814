"""Predictions that trainings leave: where they are in the run's folder, and how one stands on validation."""

from __future__ import annotations

import json
import math
from pathlib import Path

from headstart.comparison.race.race import Standing
from headstart.comparison.trials.saved import Beside
from headstart.comparison.trials.trial import ANSWERS
from headstart.core.disk.files import slug, write_text
from headstart.core.records.trial import Run
from headstart.data.examples import Examples
from headstart.stats.predictions import Predictions
from headstart.tasks.task import Task


def predictions_file(folder: Path, name: str, seed: int) -> Path:
    """Path of the test predictions of a training in the run folder."""
    return folder / "predictions" / f"{slug(name)}-seed{seed}.safetensors"


def validation_file(folder: Path, name: str, seed: int) -> Path:
    """Path of the validation predictions of a training in the run folder, for `improve`."""
    return folder / "predictions" / "validation" / f"{slug(name)}-seed{seed}.safetensors"


def write_texts(file: Path, task: Task, examples: Examples, found: Predictions, beside: Beside) -> None:
    """Answers in words as JSON lines: id, place, what the task keeps of each, and what the model read beside it; no
    file for other predictions."""
    if found.texts is None:
        return
    rows = {int(number): place for place, number in enumerate(examples.ids)}
    places = [rows[int(number)] for number in found.ids]
    inputs = examples.inputs(places)
    rows_of = zip(found.ids, examples.places(places), inputs, found.texts, found.scores, beside(inputs))
    lines = [
        {"id": int(number), "place": place, **task.kept(given, text, scores), **more}
        for number, place, given, text, scores, more in rows_of
    ]
    write_text(file, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))


def standing(place: Path, run: Run, control: bool) -> Standing:
    """Validation result of a finished training in this folder."""
    score, loss = (math.nan if value is None else value for value in (run.score, run.validation_loss))
    return Standing(Predictions.read(place / ANSWERS), score, loss, run.seconds, control)
