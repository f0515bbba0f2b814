"""Learning curves: the same methods on nested subsets of the training examples."""

from __future__ import annotations

import json
import shutil
import statistics
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from headstart.core.disk.files import write_json
from headstart.core.disk.runs import PROGRESS
from headstart.core.errors import ConfigurationError
from headstart.core.progress import Progress
from headstart.core.records.comparison import Comparison
from headstart.core.records.curve import FEWEST, Forecast, Law, Reach, Reading
from headstart.core.records.data import SplitRecord
from headstart.core.seeds import derive
from headstart.data.audit.audit import class_counts
from headstart.data.examples import Data, Examples
from headstart.methods.method import method_class
from headstart.stats.intervals import interval
from headstart.stats.metrics import Metric
from headstart.stats.power_law import fit
from headstart.stats.predictions import Predictions
from headstart.tasks.task import Task

SIZES = (10, 30, 100, 300, 1000, 3000, 10000)
METHODS = ("scratch", "probe", "freeze", "full", "lora")
Z = 1.959964


def sizes_for(data: Data, asked: Sequence[int] | None) -> tuple[int, ...]:
    """The given sizes, or the usual ones up to the size of the data, plus all.

    Raises `ConfigurationError` for a size above that of the data.
    """
    most = largest(data)
    if asked is None:
        return (*(size for size in SIZES if size < most), most)
    if wrong := [size for size in asked if not 1 <= size <= most]:
        what = "labels of its largest class" if data.task.exclusive else "training examples"
        raise ConfigurationError(f"a size of {wrong[0]} is not there: the data hold 1 to {most} {what}.")
    return tuple(sorted(set(asked)))


def largest(data: Data) -> int:
    """Size of the largest class; for a task without classes, the number of training examples."""
    if not data.task.exclusive:
        return len(data.train)
    return int(np.bincount(data.train.targets, minlength=len(data.task.labels)).max())


def subset(data: Data, size: int, draw: int) -> Data:
    """A subset with at most this many training examples per class, and at most as many for validation.

    Subsets of a draw are nested. Validation shrinks too, because a user with few labels has few for choosing. The test
    split stays whole.
    """
    train, validation = (_nested(part, size, data, draw) for part in (data.train, data.validation))
    held = {"train": train, "validation": validation}
    splits = tuple(
        _split(split, held[split.name], data.task) if split.name in held else split for split in data.record.splits
    )
    record = replace(data.record, splits=splits)
    return replace(data, train=train, validation=validation, record=record, origin=None)


def _split(record: SplitRecord, part: Examples, task: Task) -> SplitRecord:
    counts = class_counts(part.targets, len(task.labels)).tolist() if task.labels else ()
    return replace(record, size=len(part), class_counts=dict(zip(task.labels, counts)))


def _nested(examples: Examples, size: int, data: Data, draw: int) -> Examples:
    order = np.random.default_rng(derive(draw, "curve")).permutation(len(examples))
    if not data.task.exclusive:
        return examples.take(np.sort(order[:size]))
    targets = examples.targets[order]
    chosen = [order[targets == label][:size] for label in range(len(data.task.labels))]
    return examples.take(np.sort(np.concatenate(chosen)))


def readings(
    data: Data, sizes: Sequence[int], draws: int, folder: Path, metric: Metric,
    compare: Callable[[Data, Path, int], Comparison], progress: Progress,
) -> list[Reading]:  # fmt: skip
    """Results of each method at each size. compare: gives a record for data, run folder and seed (the draw's number).

    Results of a draw are saved in `folder/readings`; its run folder is removed.
    """
    found = []
    for size in sizes:
        told, said = [], []
        for draw in range(draws):
            part = subset(data, size, draw)
            place = folder / "readings" / f"{size}-{draw}"
            progress.say(f"{size} labels, draw {draw + 1} of {draws}: {len(part.train)} examples")
            if not (place / "rows.json").is_file():
                run = folder / PROGRESS / place.name
                _one(place, compare(part, run, draw), run)
            told.append(json.loads((place / "rows.json").read_text()))
            said.append(len(part.train))
        for name in told[0]:
            rows = [one[name] for one in told]
            runs = [
                Predictions.read(folder / "readings" / f"{size}-{draw}" / f"{name}.safetensors")
                for draw, row in enumerate(rows)
                if row["status"] == "ok"
            ]
            if not runs:
                found.append(Reading(name, size, max(said), rows[0]["status"]))
                continue
            value, low, high = interval(runs, metric)
            seconds = statistics.median(row["seconds"] or 0.0 for row in rows if row["status"] == "ok")
            chosen_by = [row["validation_value"] for row in rows if row.get("validation_value") is not None]
            validation = statistics.fmean(chosen_by) if chosen_by else None
            found.append(Reading(name, size, max(said), "ok", value, low, high, len(runs), seconds, validation))
    return found


def _one(place: Path, record: Comparison, run: Path) -> None:
    """Saves the results of a run and removes its folder."""
    place.mkdir(parents=True, exist_ok=True)
    for row in record.rows:
        if row.status == "ok":
            (made,) = (run / "predictions").glob(f"{row.method}-seed*.safetensors")
            shutil.copy2(made, place / f"{row.method}.safetensors")
    rows = {
        row.method: {
            "status": row.status, "seconds": row.train_seconds, "validation_value": row.validation_value,
        }
        for row in record.rows
    }  # fmt: skip
    write_json(place / "rows.json", rows)
    shutil.rmtree(run)


def laws(found: Sequence[Reading], metric: Metric, targets: Sequence[float]) -> list[Law]:
    """Power laws of methods with at least three readings, except controls that don't learn."""
    result = []
    for name in dict.fromkeys(reading.method for reading in found):
        kind = method_class(name)
        if kind.control and kind.solved:  # majority, which learns nothing from more examples
            continue
        mine = [one for one in found if one.method == name and one.value is not None]
        if len({one.examples for one in mine}) < FEWEST:
            continue
        n = [one.examples for one in mine]
        deviations = [((one.high or 0.0) - (one.low or 0.0)) / (2 * Z) for one in mine]
        law = fit(n, [_error(metric, one.value or 0.0) for one in mine], deviations)
        forecasts = []
        for times in (2, 10):
            values = sorted(_error(metric, error) for error in law.error(times * max(n)))
            value = _error(metric, law.error(times * max(n))[0])
            forecasts.append(Forecast(times * max(n), value, values[0], values[-1]))
        reach = [Reach(target, *law.reach(_error(metric, target))) for target in targets]
        limit = law.limit
        result.append(
            Law(name, *limit, float(np.exp(law.fitted[1])), float(law.fitted[2]), tuple(forecasts), tuple(reach))
        )
    return result


def _error(metric: Metric, value: float) -> float:
    """Conversions from value to error and back: the distance from the maximum, if higher is better."""
    return metric.bounds[1] - value if metric.higher_is_better else value
