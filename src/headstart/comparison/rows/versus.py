"""Comparing two runs: the methods of both, paired by example if the test examples are the same."""

from __future__ import annotations

from pathlib import Path

from headstart.core.disk.files import slug
from headstart.core.disk.runs import finished
from headstart.core.errors import ConfigurationError
from headstart.core.records.comparison import Comparison
from headstart.core.records.versus import Pair, Versus
from headstart.stats.folds import Folds
from headstart.stats.paired import compare
from headstart.stats.predictions import Predictions
from headstart.tasks.task import Task


def versus(first: Path, second: Path) -> Versus:
    """Raises `ConfigurationError` for runs with another metric or other classes, `ArtifactError` for no runs."""
    runs = finished(first), finished(second)
    tasks = [(one.task.kind, one.task.metric, one.task.labels) for one in runs]
    if tasks[0] != tasks[1]:
        raise ConfigurationError(
            f"{first} and {second} are of different tasks ({runs[0].task.metric} of {len(runs[0].task.labels)} "
            f"classes, {runs[1].task.metric} of {len(runs[1].task.labels)}); their results can't be compared."
        )
    paired = (runs[0].data.fingerprint, runs[0].folds) == (runs[1].data.fingerprint, runs[1].folds)
    names = [row.method for row in runs[0].rows if any(row.method == other.method for other in runs[1].rows)]
    return Versus(
        str(first), str(second), runs, tuple(_pair(name, first, second, runs, paired) for name in names), paired
    )


def _pair(name: str, first: Path, second: Path, runs: tuple[Comparison, Comparison], paired: bool) -> Pair:
    before, after = (run.row(name).value for run in runs)
    said = [_predictions(folder, name) for folder in (first, second)]
    if not paired or before is None or after is None or not all(said):
        return Pair(name, before, after)
    task = runs[0].task
    test = Folds(runs[0].folds).compare if runs[0].folds else compare
    found = test(said[1], said[0], Task(task.kind, task.modality, task.labels).metric(task.metric))  # type: ignore[arg-type]
    return Pair(name, before, after, found.difference, found.low, found.high, found.p_value)


def _predictions(folder: Path, name: str) -> list[Predictions]:
    files = (folder / "predictions").glob(f"{slug(name)}-seed*.safetensors")
    return [Predictions.read(file) for file in sorted(files, key=lambda file: int(file.stem.rpartition("-seed")[2]))]
