"""Comparing methods on the same data, with the same tuning budget, from one unchanged base."""

from __future__ import annotations

import contextlib
import math
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from headstart.backbones.backbone import Backbone
from headstart.comparison.bench import Bench
from headstart.comparison.mistakes import mistakes
from headstart.comparison.outlook import Outlook
from headstart.comparison.race.budget import Contender, Course, expected, said
from headstart.comparison.race.racing import Race
from headstart.comparison.selection import check_methods, same_modality
from headstart.comparison.table import rows_with_differences
from headstart.comparison.trainings import Trainings
from headstart.comparison.verdict.verdict import check_preference, verdict
from headstart.core.disk.files import link_tree, replacing_folder, slug, write_json
from headstart.core.disk.runs import PROGRESS
from headstart.core.errors import ConfigurationError, DataError, HeadstartError
from headstart.core.progress import Progress, Silent
from headstart.core.records.comparison import Comparison, Forecast, Row, TaskRecord, Verdict
from headstart.data.examples import Data
from headstart.engine.feed.augment import Augment
from headstart.engine.job import Options
from headstart.engine.machine.precision import Compute, surroundings
from headstart.engine.state.surroundings import own_generators
from headstart.methods.method import Method
from headstart.stats.guess import margin_in
from headstart.stats.metrics import Metric, chosen_metric
from headstart.stats.predictions import Predictions
from headstart.tasks.task import Task

CLOSING = 0.02
"share of a budget, at least 1.5 seconds, reserved for the table and the report"


def check(
    data: Data, backbone: Backbone, methods: Mapping[str, Method], metric_name: str | None, seeds: int, trials: int,
    options: Options = Options(),  # noqa: B008 - frozen
    prefer: str = "quality", margin: float | None = None,
) -> None:  # fmt: skip
    """Raises a subclass of `HeadstartError` for mistakes that can be found before the run writes anything."""
    if seeds < 1 or trials < 1:
        raise ConfigurationError(f"seeds and trials have to be at least 1, not {seeds} and {trials}.")
    same_modality(data, backbone)
    margin_in(chosen_metric(data, metric_name)[0], margin)
    check_preference(prefer)
    _check_augmentation(data, options)
    check_methods(methods, backbone)


def _check_augmentation(data: Data, options: Options) -> None:
    """Raises `ConfigurationError` for an augmentation without effect."""
    task = data.task
    if options.augment != "none" and task.modality != "image":
        raise ConfigurationError(f"augment={options.augment} is for images; for texts there is word_dropout.")
    if Augment(options.augment).blends and not task.exclusive:
        raise ConfigurationError(f"{options.augment} is for single_label tasks; choose augment light or strong.")
    if options.word_dropout and not task.pooled:
        raise ConfigurationError("word_dropout leaves out words, and here each has a tag; leave it out.")
    if options.word_dropout and task.modality == "image":
        raise ConfigurationError("word_dropout is for texts; for images there is augment.")


@own_generators()
def compare(
    data: Data,
    backbone: Backbone,
    methods: Mapping[str, Method],
    *,
    folder: Path,
    compute: Compute,
    options: Options = Options(),  # noqa: B008 - frozen
    seeds: Sequence[int] = (0, 1, 2),
    trials: int = 3,
    metric_name: str | None = None,
    race: bool = False,
    budget: float | None = None,
    workers: int = 0,
    configuration: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
    keep: bool = False,
    parts: Mapping[str, np.ndarray] | None = None,
    prefer: str = "quality",
    margin: float | None = None,
    begun: float | None = None,
) -> Comparison:
    """Runs every method and returns the record; the folder gets predictions, the best model and the record.

    race: stop trainings early that are clearly behind on validation (`race/race.py`).
    budget: seconds for the whole run, for a race.
    keep: keep the models of all methods and seeds, as `models/METHOD/seed0`.
    parts: positions of test examples by name (`data.parts`), with their own results in the record.
    prefer, margin: criterion of the verdict, and its non-inferiority margin (`guess.margin_in`).

    Raises `KeyboardInterrupt` on Ctrl-C, after writing the finished rows as a record with status `partial`.
    """
    begun = (time.perf_counter() if begun is None else begun) - _spent(folder)
    task = data.task
    (metric, reason), progress = chosen_metric(data, metric_name), progress or Silent()
    if reason:
        progress.say(f"metric: {metric.name}, since {reason}; --metric chooses another")
    trainings = Trainings(data, backbone, options, compute, folder, metric, workers, progress)
    trainings.outlook = Outlook(progress, len(methods))
    bench = Bench(trainings, tuple(seeds), trials)
    bench.keeps_trials = any(method.combines for method in methods.values())
    bench.expect(methods)
    started = surroundings(compute)
    deadline = None if budget is None else begun + budget - max(CLOSING * budget, 1.5)
    contest = Race(bench, methods, deadline) if race or budget is not None else None
    rows: list[Row] = []
    predictions: dict[str, list[Predictions]] = {}

    def record(status: str) -> Comparison:
        pending = [Row(n, "not run", metric.name, control=m.control)
                   for n, m in methods.items() if n not in {r.method for r in rows}]  # fmt: skip
        described = [replace(row, summary=methods[row.method].summary) for row in (*rows, *pending)]
        full = rows_with_differences(described, predictions, metric, task=task, parts=parts)
        done = any(row.status == "ok" for row in rows)
        finding = verdict(
            full, metric, test_size=len(data.test), margin=margin_in(metric, margin), prefer=prefer
        ) if done else Verdict(None, "No method has finished, so there is no verdict.")  # fmt: skip
        used = predictions.get(finding.method or "", [])
        return Comparison(
            task=task_record(task, metric, reason),
            model=backbone.record(),
            data=data.record,
            seeds=bench.seeds,
            environment=started,
            rows=full,
            verdict=finding,
            configuration=dict(configuration or {}),
            status=status,
            seconds=time.perf_counter() - begun,
            forecast=contest.forecast if contest else outlook,
            mistakes=mistakes(used, data.test, task) if used else (),
        )  # fmt: skip

    outlook: Forecast | None = None
    try:
        if contest:
            contest.start()
        elif not isinstance(progress, Silent):
            outlook = _forecast(bench, methods)
        for row, found in _rows(bench, methods, contest):
            rows.append(row)
            if found:
                predictions[row.method] = found
            progress.say(f"{row.method:<15} {row.status}, {len(rows)} of {len(methods)} methods done")
        if deadline is None:
            rows[:] = bench.in_turns(rows)
    except BaseException as error:
        if rows or isinstance(error, KeyboardInterrupt):
            with contextlib.suppress(HeadstartError):  # because a full disk may have caused the stop
                record("partial").write(folder / "comparison.json")
        raise
    finally:
        trainings.close()
    result = record("complete")
    if not predictions:
        reasons = "; ".join(f"{row.method}: {row.status}" for row in result.rows)
        result.write(folder / "comparison.json")
        raise DataError(f"no method could be run ({reasons}).")
    if result.forecast:
        peak = max((row.peak_memory_bytes or 0 for row in result.rows), default=0)
        progress.say(f"took {said(result.forecast, seconds=result.seconds, peak=peak)}")
    _keep(bench, result, everything=keep)
    result.write(folder / "comparison.json")
    shutil.rmtree(folder / PROGRESS, ignore_errors=True)
    return result


def task_record(task: Task, metric: Metric, reason: str) -> TaskRecord:
    return TaskRecord(
        task.kind, task.modality, task.labels, metric.name, metric.higher_is_better, reason, task.noun, task.pipeline
    )


def _rows(
    bench: Bench, methods: Mapping[str, Method], contest: Race | None
) -> Iterator[tuple[Row, list[Predictions]]]:  # fmt: skip
    """Order of methods: solved ones first, because they are fast; then trained ones; last those that combine them."""
    train = [name for name, method in methods.items() if not method.solved and not method.combines]
    begun = False
    for name, method in methods.items():
        if method.solved and not method.combines:
            late = contest is not None and begun and contest.left <= 0
            yield (contest.late(name), []) if contest and late else bench.row(name, method)
            begun = True
    yield from contest.rows() if contest else (bench.row(name, methods[name]) for name in train)
    for name, method in methods.items():
        if method.combines:
            yield (contest.late(name), []) if contest and contest.left <= 0 else bench.row(name, method)


def _forecast(bench: Bench, methods: Mapping[str, Method]) -> Forecast | None:
    """Shows the forecast duration of all trainings, and how to get a first answer sooner."""
    costs, _ = bench.costs(methods)
    if not costs:
        return None
    trials = {name: min(bench.trials, 1 + 2 * len(bench.axes(methods[name]))) for name in costs}
    for name, one in costs.items():
        bench.trainings.outlook.expect(name, one.seconds(), trials[name] + len(bench.seeds) - 1)
    contenders = [Contender(one) for one in costs.values()]
    found = expected(contenders, Course(1.0, 1.0, len(costs), len(bench.seeds), max(trials.values())), None, math.inf)
    hint = "; --budget 10m gives a first answer" if found.most_seconds > 900 else ""
    bench.trainings.progress.say(said(found, len(methods)) + hint)
    return found


def _spent(folder: Path) -> float:
    """Duration of the run before its interruption, in seconds, from its record."""
    file = folder / "comparison.json"
    found = Comparison.read(file) if file.is_file() else None
    return found.seconds or 0.0 if found and found.status == "partial" else 0.0


def _keep(bench: Bench, result: Comparison, everything: bool) -> None:
    """The recommended method becomes `model/`; other methods of the verdict, or all, go to `models/METHOD/seedN`.

    `model/` is the best seed on validation.
    """
    sign = 1 if bench.trainings.metric.higher_is_better else -1

    def best(row: Row) -> int:
        return max(row.seeds, key=lambda run: sign * (run.validation_value or 0.0)).seed

    tested = {row.method: row for row in result.rows if row.seeds}
    use, *others = result.verdict.named or tuple(tested)[:1]
    _link(bench, use, best(tested[use]), bench.trainings.folder / "model")
    wanted = [(tested[name], best(tested[name])) for name in others]
    if everything:
        wanted = [(row, run.seed) for row in tested.values() for run in row.seeds]
    for row, seed in wanted:
        _link(bench, row.method, seed, bench.trainings.folder / "models" / slug(row.method) / f"seed{seed}")


def _link(bench: Bench, method: str, seed: int, folder: Path) -> None:
    """Links the files instead of moving them, because an interrupted run needs its progress until the record exists."""
    with replacing_folder(folder) as temporary:
        link_tree(bench.places[method, seed] / "model", temporary)
        write_json(temporary / "labels.json", list(bench.trainings.data.task.labels))
