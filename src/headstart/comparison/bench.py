"""Bench of a comparison: tunes a method, trains it with every seed, and makes its row."""

from __future__ import annotations

import contextlib
import math
import shutil
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from torch import Tensor, nn

from headstart.artifacts.artifact import fields_of
from headstart.comparison.containment import Failed, bare, contained
from headstart.comparison.latency import ROUNDS
from headstart.comparison.race.race import told
from headstart.comparison.trainings import Run, Trainings
from headstart.comparison.tune import Outcome, candidates, search, starts, tune
from headstart.core.disk.files import slug
from headstart.core.disk.runs import PROGRESS
from headstart.core.errors import MethodError
from headstart.core.progress import Progress
from headstart.core.records.comparison import Row, SeedRun, Shortened, Stop, Trial
from headstart.engine.forecast import Cost, cost
from headstart.methods.method import Axis, Method
from headstart.methods.solver import Ingredient
from headstart.stats.predictions import Predictions

ATTEMPT = (MethodError, RuntimeError, ValueError)
"errors that end one training but not the comparison"


@dataclass(eq=False)
class Bench:
    """A running comparison."""

    trainings: Trainings
    seeds: tuple[int, ...]
    trials: int

    def __post_init__(self) -> None:
        self._asked = self.trials  # fewer in a race; solved heads cost none of its time
        self.test_seconds: float | None = None  # maximum duration so far of testing and of single examples
        self.places: dict[tuple[str, int], Path] = {}  # durations of the trainings of rows, by method and seed
        self.few: int | None = None  # maximum training examples of a control with a separate pass, if time is short
        self.search_ends = math.inf  # deadline by `time.perf_counter()` of the search for penalties of solved heads
        self.keeps_trials = False  # True while a method that combines trainings is still to come
        self._ingredients: dict[Path, Ingredient] = {}

    def expect(self, methods: Mapping[str, Method]) -> None:
        """Announces the needs of these methods to the cache, so that one pass over the data fills it."""
        wanted = []
        for name, method in methods.items():
            # raised again when the method runs
            with contextlib.suppress(*ATTEMPT), contained(self.trainings.folder, name):
                settled, axes = self.trainings.settled(method), self.axes(method)
                for candidate in starts(settled, axes) if method.solved else candidates(settled, axes, self.trials):
                    head = candidate.head(self.trainings.backbone, self.trainings.data.task.outputs, bias=True)
                    wanted += candidate.attach(self.trainings.backbone, head).prefixes(
                        len(self.trainings.backbone.ladder)
                    )
        self.trainings.cache.expect(wanted)

    def costs(
        self, methods: Mapping[str, Method], within: float = math.inf
    ) -> tuple[dict[str, Cost], dict[str, Row]]:  # fmt: skip
        """Forecasts the costs of trainings from a few steps of each method; also returns rows that can't run.

        within: seconds after which no further method is measured; the others count like the most expensive one. With a
        limit, the memory of the largest step is not measured.
        """
        found, failed, end = dict[str, Cost](), dict[str, Row](), time.perf_counter() + within
        for name, method in methods.items():
            if method.solved:
                continue
            if found and time.perf_counter() > end:
                found[name] = max(found.values(), key=lambda one: one.seconds())
                continue
            self.trainings.progress.stage(f"forecast of {name}")
            try:
                with contained(self.trainings.folder, name):
                    settled = self.trainings.settled(method)
                    found[name] = cost(self.trainings.setting, settled, memory=math.isinf(within))
            except ATTEMPT as error:
                failed[name] = self.failed(name, method, error)
        return found, failed

    def row(self, name: str, method: Method) -> tuple[Row, list[Predictions]]:
        """Tunes the method, trains it with every seed, and predicts the test split from the saved artifacts."""
        self.trainings.progress.stage(name, None)
        tried: list[tuple[Method, Run]] = []
        failures: dict[Method, Exception] = {}
        examples = len(self.trainings.train)
        few = min(self.few or examples, examples) if method.apart else examples
        share = few / examples

        def attempt(candidate: Method) -> Outcome:
            if method.solved and tried and time.perf_counter() > self.search_ends:
                return Outcome(math.nan)
            try:
                run = self.train(name, candidate, self.seeds[0], share)
            except ATTEMPT as error:  # for this configuration only
                failures[candidate] = bare(error)
                return Outcome(math.nan)
            tried.append((candidate, run))
            failed = run.score is None or run.status != "ok"
            return Outcome(math.nan) if failed else outcome(candidate, run)

        try:
            with contained(self.trainings.folder, name):
                settled = self.trainings.settled(method)
                axes = self.axes(method)
            chosen = self._tuned(settled, axes, attempt)
            if not tried:
                raise failures[chosen]
            runs = [self.train(name, chosen, s, share) for s in (self.seeds[:1] if method.solved else self.seeds)]
        except ATTEMPT as error:
            return self.failed(name, method, error), []
        stopped = Stop(share, "time", epochs=share, examples=few) if few < examples else None
        return self.tested(name, method, chosen, runs, tried, failures, stopped)

    def tested(
        self, name: str, method: Method, chosen: Method, runs: Sequence[Run], tried: Sequence[tuple[Method, Run]],
        failures: Mapping[Method, Exception], stopped: Stop | None = None,
    ) -> tuple[Row, list[Predictions]]:  # fmt: skip
        """The row of a method, with the test predictions of its trainings.

        runs: trainings of the chosen configuration, one per seed. tried: all trainings on the first seed. stopped: set
        if a race stopped the method; runs are then its last completed trainings.
        """
        settled = self.trainings.settled(method)
        trials = [self._trial(settled, candidate, run, candidate == chosen) for candidate, run in tried]
        trials += [self.lost(settled, candidate, error) for candidate, error in failures.items()]
        # without the cost of the cache, because it was filled once
        tuning = sum(run.seconds - run.charged for _, run in tried) + (tried[0][1].charged if tried else 0.0)
        if any(run.status != "ok" for run in runs):
            status = next(run.status for run in runs if run.status != "ok")
            return Row(name, status, self.trainings.metric.name, fields_of(chosen), control=method.control,
                       trials=tuple(trials), tuning_seconds=tuning), []  # fmt: skip
        predictions, latencies = [], []
        try:
            for run in runs:
                start = time.perf_counter()
                found, seconds = self.trainings.tested(name, chosen, run)
                self.test_seconds = max(self.test_seconds or 0.0, time.perf_counter() - start)
                predictions.append(found)
                latencies.append(seconds)
                self.places[name, run.seed] = self.trainings.place(name, chosen, run.seed, run.share)
        except ATTEMPT as error:
            return replace(self.failed(name, chosen, error), trials=tuple(trials), tuning_seconds=tuning), []
        if self.keeps_trials:
            self._gather(name, [*tried, *((chosen, run) for run in runs)])
        else:
            self._drop_others(name)
        best = max(runs, key=lambda run: (run.score or 0.0, -(run.validation_loss or 0.0)))
        values = [run.validation_value for run in runs]
        row = Row(
            method=name,
            status=told(stopped, self.trainings.metric) if stopped else "ok",
            metric=self.trainings.metric.name,
            configuration=fields_of(chosen),
            validation_value=None if None in values else statistics.fmean(value or 0.0 for value in values),
            learning_rate=getattr(chosen, "learning_rate", None),
            trained_parameters=best.trained_parameters,
            trained_share=best.trained_share,
            peak_memory_bytes=max((run.peak_memory_bytes or 0 for run in runs), default=0) or None,
            train_seconds=statistics.median(run.seconds for run in runs),
            tuning_seconds=tuning,
            latency_seconds=statistics.median(latencies),
            artifact_bytes=best.artifact_bytes,
            control=method.control,
            seeds=tuple(
                SeedRun(
                    run.seed,
                    run.validation_value,
                    self.trainings.metric.of(found),
                    run.seconds,
                    run.best_epoch,
                    run.curve,
                    run.interpolation,
                )
                for run, found in zip(runs, predictions)
            ),
            trials=tuple(trials),
            notes=tuple(dict.fromkeys(note for run in runs for note in run.notes)),
            stopped=stopped,
            shortened=None if stopped else self._shortened(min(run.share for run in runs)),
        )
        return row, predictions

    def _shortened(self, share: float) -> Shortened | None:
        if share >= 1:
            return None
        epochs, examples, usual = *self.trainings.seen(share), self.trainings.options.epochs
        assert usual is not None
        return Shortened(epochs, examples, usual)

    def in_turns(self, rows: Sequence[Row]) -> list[Row]:
        """The rows with latencies of the first seeds, measured in turns."""
        first: dict[str, Path] = {}
        for (name, _), place in self.places.items():
            first.setdefault(name, place)
        times: dict[str, list[float]] = {name: [] for name in first}
        for _ in range(ROUNDS):
            for name, place in first.items():
                with contextlib.suppress(Exception):  # keeps the latency from its test
                    times[name] += self.trainings.latencies(place, 12)
        return [
            replace(row, latency_seconds=statistics.median(found)) if (found := times.get(row.method)) else row
            for row in rows
        ]

    def train(
        self, name: str, method: Method, seed: int, share: float = 1.0, watch: Progress | None = None
    ) -> Run:  # fmt: skip
        """watch: callback of a race, which also needs the validation predictions."""
        given = tuple(self._ingredients.values())
        return self.trainings.once(name, method, seed, given, share, watch, answers_too=watch is not None)

    def failed(self, name: str, method: Method, error: Exception) -> Row:
        """Status of a method that does not fit, or whose code or GPU failed; others may still run."""
        if isinstance(error, MethodError):
            told = str(error).removeprefix(f"{name.partition('@')[0]}: ")
            return Row(name, f"not applicable: {told}", self.trainings.metric.name, control=method.control)
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:300]
        notes = (f"traceback: {error.file.relative_to(self.trainings.folder)}",) if isinstance(error, Failed) else ()
        return Row(name, f"failed: {reason}", self.trainings.metric.name, fields_of(method), control=method.control,
                   notes=notes)  # fmt: skip

    def _tuned(self, settled: Method, axes: list[Axis], attempt: Callable[[Method], Outcome]) -> Method:
        """The configuration chosen on validation; the default with one trial or without validation examples."""
        if not settled.solved or self._asked == 1 or not len(self.trainings.validation):
            return tune(settled, axes, 1 if settled.solved else self.trials, attempt)
        return search(settled, axes, attempt)

    def axes(self, method: Method) -> list[Axis]:
        """Axes to tune, without fields that the user has set."""
        default = type(method)()
        return [
            axis
            for axis in method.axes(self.trainings.backbone)
            if getattr(method, axis.name) == getattr(default, axis.name)
        ]

    def _trial(self, settled: Method, candidate: Method, run: Run, chosen: bool) -> Trial:
        changed = self.changed(settled, candidate)
        return Trial(changed, run.validation_value, run.validation_loss, run.seconds, run.status, chosen)

    def lost(self, settled: Method, candidate: Method, error: Exception) -> Trial:
        """Trial of a failed configuration, if another one of the method ran."""
        return Trial(self.changed(settled, candidate), None, status=self.failed("", candidate, error).status)

    def changed(self, settled: Method, candidate: Method) -> dict[str, Any]:
        """The fields in which a candidate differs from the others."""
        tuned = [axis.name for axis in candidate.axes(self.trainings.backbone)]
        return {f.name: getattr(candidate, f.name) for f in fields(candidate)
                if f.name in tuned or getattr(candidate, f.name) != getattr(settled, f.name)}  # fmt: skip

    def _gather(self, name: str, trained: Sequence[tuple[Method, Run]]) -> None:
        """Trainings that can be averaged: they only changed weights, with a linear head on the top."""
        for method, run in trained:
            head = method.head(self.trainings.backbone, self.trainings.data.task.outputs, bias=True)
            plan = method.attach(self.trainings.backbone, head)
            place = self.trainings.place(name, method, run.seed, run.share)
            alike = type(head) is nn.Linear and plan.reads == "top" and not plan.edits and plan.averages
            if run.status != "ok" or method.control or not alike:
                continue
            told = f"{name} seed {run.seed}"
            if plan.learning_rate:
                told += f" rate {plan.learning_rate:.2g}"
            load = partial(_uncooled, place / "model" / "weights.safetensors", run.temperature)
            self._ingredients[place] = Ingredient(told, run.score or 0.0, run.validation_loss or 0.0, run.seconds, load)

    def _drop_others(self, name: str) -> None:
        """Removes the weights of trials that were not chosen; their results stay in the record."""
        for place in (self.trainings.folder / PROGRESS / slug(name)).iterdir():
            if place not in self.places.values():
                shutil.rmtree(place / "model", ignore_errors=True)


def outcome(method: Method, run: Run) -> Outcome:
    """Criterion of tuning: the metric, with the loss for ties.

    For solved heads it is the loss after temperature scaling, because on few examples many configurations have the same
    accuracy, while log loss uses the confidence. Ranking metrics benefit too.
    """
    score, loss = float(run.score or 0.0), run.validation_loss or 0.0
    return Outcome(-loss, -score) if method.solved else Outcome(score, loss)


def _uncooled(file: Path, temperature: float) -> dict[str, Tensor]:
    """The weights without temperature scaling, because heads of different temperatures must not be averaged."""
    return {name: value * temperature if name.startswith("head.") else value for name, value in load_file(file).items()}
