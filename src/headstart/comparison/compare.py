"""Comparing methods on the same data, with the same tuning budget, from one unchanged base."""

from __future__ import annotations

import contextlib
import math
import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from headstart.backbones.backbone import Backbone
from headstart.comparison.asked import Asked
from headstart.comparison.bench import Bench
from headstart.comparison.outlook import Outlook
from headstart.comparison.race.budget import Contender, Course, expected, said
from headstart.comparison.race.racing import Race
from headstart.comparison.rows.keeping import keep_models
from headstart.comparison.rows.results import Results
from headstart.comparison.trials.pending import Finished, Pending
from headstart.comparison.trials.trial import run_trial
from headstart.comparison.trials.workshop import Workshop
from headstart.core.disk.runs import PROGRESS
from headstart.core.errors import DataError, HeadstartError
from headstart.core.progress import Progress, Silent
from headstart.core.records.comparison import Comparison, Forecast
from headstart.data.examples import Data
from headstart.engine.machine.precision import Compute, surroundings
from headstart.engine.state.surroundings import own_generators
from headstart.methods.method import Method
from headstart.stats.metric_choice import chosen_metric

CLOSING = 0.02
"share of a budget, at least 1.5 seconds, reserved for the table and the report"


@own_generators()
def compare(
    data: Data, backbone: Backbone, asked: Asked, *, folder: Path, compute: Compute,
    configuration: Mapping[str, Any] | None = None, progress: Progress | None = None, begun: float | None = None,
) -> Comparison:  # fmt: skip
    """Runs every method and returns the record; the folder gets predictions, the best model and the record.

    begun: start of the run by `time.perf_counter()`, if it began before this call.

    Raises `KeyboardInterrupt` on Ctrl-C, after writing the finished rows as a record with status `partial`.
    """
    begun = (time.perf_counter() if begun is None else begun) - _spent(folder)
    (metric, reason), progress = chosen_metric(data, asked.metric), progress or Silent()
    if reason:
        progress.say(f"metric: {metric.name}, since {reason}; --metric chooses another")
    methods, budget = asked.methods, asked.budget
    deadline = None if budget is None else begun + budget - max(CLOSING * budget, 1.5)
    results = Results(data, backbone, asked, metric, reason, surroundings(compute), configuration or {}, begun)
    with Workshop(data, backbone, asked.options, compute, metric, asked.workers) as workshop:
        outlook = Outlook(progress, len(methods))
        bench = Bench(workshop, folder, asked.seeds, asked.trials, progress, outlook)
        bench.keeps_trials = any(method.combines for method in methods.values())
        bench.expect(methods)
        contest = Race(bench, methods, deadline) if asked.race or budget is not None else None
        forecast: Forecast | None = None
        try:
            if contest:
                contest.start()
                forecast = contest.forecast
            elif not isinstance(progress, Silent):
                forecast = _forecast(bench, methods)
            for step in _searches(bench, methods, contest):
                if isinstance(step, Pending):
                    with step.settling(folder, outlook):
                        step.run = run_trial(step.spec, step.folder, workshop, step.progress)
                    continue
                row, found = step
                results.add(row, found)
                progress.say(f"{row.method:<15} {row.status}, {len(results.rows)} of {len(methods)} methods done")
            if deadline is None:
                results.rows = bench.in_turns(results.rows)
        except BaseException as error:
            if results.rows or isinstance(error, KeyboardInterrupt):
                with contextlib.suppress(HeadstartError):  # because a full disk may have caused the stop
                    results.record("partial", forecast).write(folder / "comparison.json")
            raise
    result = results.record("complete", forecast)
    if not results.predictions:
        reasons = "; ".join(f"{row.method}: {row.status}" for row in result.rows)
        result.write(folder / "comparison.json")
        raise DataError(f"no method could be run ({reasons}).")
    if result.forecast:
        peak = max((row.peak_memory_bytes or 0 for row in result.rows), default=0)
        progress.say(f"took {said(result.forecast, seconds=result.seconds, peak=peak)}")
    keep_models(bench, result, everything=asked.keep)
    result.write(folder / "comparison.json")
    shutil.rmtree(folder / PROGRESS, ignore_errors=True)
    return result


def _searches(bench: Bench, methods: Mapping[str, Method], contest: Race | None) -> Iterator[Pending | Finished]:
    """Order of methods: solved ones first, because they are fast; then trained ones; last those that combine them."""
    train = [name for name, method in methods.items() if not method.solved and not method.combines]
    begun = False
    for name, method in methods.items():
        if method.solved and not method.combines:
            late = contest is not None and begun and contest.left <= 0
            yield (contest.late(name), []) if contest and late else (yield from bench.row(name, method))
            begun = True
    if contest:
        yield from contest.rows()
    else:
        for name in train:
            yield (yield from bench.row(name, methods[name]))
    for name, method in methods.items():
        if method.combines:
            late = contest is not None and contest.left <= 0
            yield (contest.late(name), []) if contest and late else (yield from bench.row(name, method))


def _forecast(bench: Bench, methods: Mapping[str, Method]) -> Forecast | None:
    """Shows the forecast duration of all trainings, and how to get a first answer sooner."""
    costs, _ = bench.costs(methods)
    if not costs:
        return None
    trials = {name: min(bench.trials, 1 + 2 * len(bench.axes(methods[name]))) for name in costs}
    for name, one in costs.items():
        bench.outlook.expect(name, one.seconds(), trials[name] + len(bench.seeds) - 1)
    contenders = [Contender(one) for one in costs.values()]
    found = expected(contenders, Course(1.0, 1.0, len(costs), len(bench.seeds), max(trials.values())), None, math.inf)
    hint = "; --budget 10m gives a first answer" if found.most_seconds > 900 else ""
    bench.progress.say(said(found, len(methods)) + hint)
    return found


def _spent(folder: Path) -> float:
    """Duration of the run before its interruption, in seconds, from its record."""
    file = folder / "comparison.json"
    found = Comparison.read(file) if file.is_file() else None
    return found.seconds or 0.0 if found and found.status == "partial" else 0.0
