"""Cross-validated comparison: the same comparison on each fold, and one table."""

from __future__ import annotations

import shutil
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from headstart.backbones.backbone import Backbone
from headstart.comparison.asked import Asked
from headstart.comparison.compare import compare
from headstart.comparison.rows.mistakes import mistakes
from headstart.comparison.rows.table import rows_with_differences
from headstart.comparison.trials.answers import predictions_file
from headstart.comparison.verdict.verdict import verdict
from headstart.core.disk.files import link_tree, replacing_folder, slug
from headstart.core.disk.runs import PROGRESS
from headstart.core.errors import ConfigurationError
from headstart.core.progress import Progress, Silent
from headstart.core.records.comparison import Comparison, Row
from headstart.data.examples import Data, Examples
from headstart.data.ingest.folds import check_folds, folded
from headstart.engine.machine.precision import Compute
from headstart.stats.folds import Folds
from headstart.stats.guess import margin_in
from headstart.stats.metric_choice import chosen_metric
from headstart.stats.predictions import Predictions

REFUSED = ("race", "budget", "by")
"options of `compare` that need a single training and test set"


def check_folded(data: Data, folds: int, asked: Mapping[str, Any]) -> None:
    """Raises `ConfigurationError` for options that don't fit with folds, and for data that are too few."""
    if given := [name for name in REFUSED if asked.get(name)]:
        raise ConfigurationError(f"folds and {given[0]} can't be asked for together; leave one of them out.")
    check_folds(data, folds)


def cross_validated(
    data: Data, backbone: Backbone, asked: Asked, *, folds: int, folder: Path, compute: Compute,
    configuration: Mapping[str, Any] | None = None, progress: Progress | None = None, begun: float | None = None,
) -> Comparison:  # fmt: skip
    """`compare` on each fold, with separate tuning; the record combines all folds.

    asked: without race and parts; each seed is one cross-validation, with new folds. begun: unused, because each fold
    has a separate duration. The kept models are those of the first fold, trained on (folds - 1) / folds of the
    examples. Finished folds stay until the run is complete.
    """
    watched = progress or Silent()
    metric, reason = chosen_metric(data, asked.metric)
    found: list[Comparison] = []
    tested: list[Examples] = []
    for seed in asked.seeds:
        for at, part in enumerate(folded(data, folds, seed)):
            place = folder / PROGRESS / f"fold{len(found)}"
            watched.say(f"fold {at + 1} of {folds}: {len(part.train)} to train, {len(part.test)} to test")
            one = Comparison.read(place / "comparison.json") if (place / "comparison.json").is_file() else None
            if one is None or one.status != "complete":
                one_fold = replace(
                    asked, seeds=(len(found),), metric=metric.name, keep=not found, prefer="quality", margin=None
                )
                one = compare(part, backbone, one_fold, folder=place, compute=compute, progress=progress)
            found.append(one)
            tested.append(part.test)
    how = Folds(folds)
    names = [row.method for row in found[0].rows]
    rows = [_together([one.row(name) for one in found]) for name in names]
    runs = {row.method: _predictions(folder, row, len(found)) for row in rows if row.status == "ok"}
    table = rows_with_differences(rows, runs, metric, task=data.task, folds=how)
    margin = margin_in(metric, asked.margin)
    finding = verdict(table, metric, test_size=sum(map(len, tested[:folds])), margin=margin, prefer=asked.prefer)
    every = tested[0]
    for test in tested[1:folds]:
        every = every.with_(test)
    used = how.pooled(runs.get(finding.method or "", []))
    result = replace(
        found[0], task=replace(found[0].task, metric_reason=reason), data=_data(data, found[0]),
        seeds=tuple(range(len(found))), rows=table, verdict=finding, configuration=dict(configuration or {}),
        seconds=sum(one.seconds or 0.0 for one in found), mistakes=mistakes(used, every, data.task) if used else (),
        folds=folds,
    )  # fmt: skip
    _keep(folder, result, everything=asked.keep)
    for at in range(len(found)):
        _linked(folder / PROGRESS / f"fold{at}" / "predictions", folder / "predictions", at == 0)
    result.write(folder / "comparison.json")
    shutil.rmtree(folder / PROGRESS, ignore_errors=True)
    return result


def _data(data: Data, first: Comparison) -> Any:
    """The record of all examples, with the splits of the first fold."""
    return replace(data.record, splits=first.data.splits)


def _together(rows: Sequence[Row]) -> Row:
    """Combines the rows of a method over all folds; configuration, size and trials are those of the first fold."""
    for at, row in enumerate(rows):
        if row.status != "ok":
            return replace(row, status=f"{row.status} (fold {at + 1})", value=None, low=None, high=None, seeds=())
    values = [row.validation_value for row in rows if row.validation_value is not None]
    return replace(
        rows[0],
        validation_value=statistics.fmean(values) if len(values) == len(rows) else None,
        peak_memory_bytes=max((row.peak_memory_bytes or 0 for row in rows), default=0) or None,
        train_seconds=_median([row.train_seconds for row in rows]),
        tuning_seconds=sum(row.tuning_seconds or 0.0 for row in rows),
        latency_seconds=_median([row.latency_seconds for row in rows]),
        seeds=tuple(run for row in rows for run in row.seeds),
        gains=(),
    )


def _median(found: Sequence[float | None]) -> float | None:
    there = [each for each in found if each is not None]
    return statistics.median(there) if there else None


def _predictions(folder: Path, row: Row, folds: int) -> list[Predictions]:
    """File of the predictions; it has the fold's number even if the method's result does not depend on the seed."""
    places = [folder / PROGRESS / f"fold{at}" for at in range(folds)]
    return [Predictions.read(predictions_file(place, row.method, at)) for at, place in enumerate(places)]


def _keep(folder: Path, result: Comparison, everything: bool) -> None:
    """Keeps models of the first fold: the recommended method as `model/`, the verdict's other methods in `models/`."""
    models = folder / PROGRESS / "fold0" / "models"
    ok = [row.method for row in result.rows if row.seeds]
    use, *others = result.verdict.named or tuple(ok[:1])
    _linked(models / slug(use) / "seed0", folder / "model")
    for name in ok if everything else others:
        _linked(models / slug(name) / "seed0", folder / "models" / slug(name) / "seed0")


def _linked(source: Path, target: Path, new: bool = True) -> None:
    """Links the files of a folder under another name; `new` must not exist."""
    if new:
        with replacing_folder(target) as temporary:
            link_tree(source, temporary)
    else:
        link_tree(source, target)
