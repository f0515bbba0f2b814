"""Bench of a comparison: tunes a method, trains it with every seed, and makes its row.

It trains nothing itself: it asks (`Pending`), and `compare` runs what it asks for.
"""

from __future__ import annotations

import contextlib
import math
import shutil
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from headstart.comparison.outlook import Outlook
from headstart.comparison.race.race import Standing
from headstart.comparison.rows.row import Tuned, row_of, row_of_diverged, row_of_failed, trials_of
from headstart.comparison.trials.answers import predictions_file, standing, validation_file, write_texts
from headstart.comparison.trials.containment import bare, contained
from headstart.comparison.trials.ingredients import Ingredients
from headstart.comparison.trials.latency import ROUNDS
from headstart.comparison.trials.pending import Finished, Pending, Search
from headstart.comparison.trials.saved import latencies_of, tested
from headstart.comparison.trials.trial import ANSWERS
from headstart.comparison.trials.workshop import Workshop
from headstart.comparison.tune import Outcome, candidates, search, starts, tune
from headstart.core.disk.files import slug
from headstart.core.disk.runs import PROGRESS
from headstart.core.errors import MethodError
from headstart.core.progress import Progress
from headstart.core.records.comparison import Row
from headstart.core.records.training import Stop
from headstart.core.records.trial import Run, TrialSpec
from headstart.engine.forecast import Cost, cost
from headstart.methods.method import Axis, Method, head_for
from headstart.stats.predictions import Predictions

ATTEMPT = (MethodError, RuntimeError, ValueError)
"errors that end one training but not the comparison"


@dataclass(eq=False)
class Bench:
    """A running comparison. folder: that of the run, whose `progress` holds the trainings."""

    workshop: Workshop
    folder: Path
    seeds: tuple[int, ...]
    trials: int
    progress: Progress
    outlook: Outlook

    def __post_init__(self) -> None:
        self._asked = self.trials  # fewer in a race; solved heads cost none of its time
        self.test_seconds: float | None = None  # maximum duration so far of testing and of single examples
        self.places: dict[tuple[str, int], Path] = {}  # folders of the trainings of rows, by method and seed
        self.few: int | None = None  # maximum training examples of a control with a separate pass, if time is short
        self.search_ends = math.inf  # deadline by `time.perf_counter()` of the search for penalties of solved heads
        self.keeps_trials = False  # True while a method that combines trainings is still to come
        self._ingredients = Ingredients(self.workshop)

    def spec(self, name: str, method: Method, seed: int, share: float = 1.0) -> TrialSpec:
        """The spec of a training of this comparison; a method that combines others gets all that are finished."""
        given = self._ingredients.specs(self._within(name) / "seed") if method.combines else ()
        return self.workshop.spec(name, method, seed, share, given)

    def _within(self, name: str) -> Path:
        return self.folder / PROGRESS / slug(name)

    def place(self, name: str, method: Method, seed: int, share: float = 1.0) -> Path:
        """Folder of a training."""
        return self._within(name) / self.spec(name, method, seed, share).key

    def standing(self, name: str, method: Method, run: Run) -> Standing:
        """Validation result of a finished training."""
        return standing(self.place(name, method, run.seed, run.share), run, method.control)

    def expect(self, methods: Mapping[str, Method]) -> None:
        """Announces the needs of these methods to the cache, so that one pass over the data fills it."""
        wanted, backbone = [], self.workshop.backbone
        for name, method in methods.items():
            # raised again when the method runs
            with contextlib.suppress(*ATTEMPT), contained(self.folder, name):
                settled, axes = self.workshop.settled(method), self.axes(method)
                for candidate in starts(settled, axes) if method.solved else candidates(settled, axes, self.trials):
                    head = head_for(candidate, backbone, self.workshop.data.task, bias=True)
                    wanted += candidate.attach(backbone, head).prefixes(len(backbone.ladder))
        self.workshop.cache.expect(wanted)

    def costs(self, methods: Mapping[str, Method], within: float = math.inf) -> tuple[dict[str, Cost], dict[str, Row]]:
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
            self.progress.stage(f"forecast of {name}")
            try:
                with contained(self.folder, name):
                    settled = self.workshop.settled(method)
                    found[name] = cost(self.workshop.setting, settled, memory=math.isinf(within))
            except ATTEMPT as error:
                failed[name] = self.failed(name, method, error)
        return found, failed

    def row(self, name: str, method: Method) -> Search[Finished]:
        """Tunes the method, trains it with every seed, and predicts the test split from the saved artifacts."""
        self.progress.stage(name, None)
        tried: list[tuple[Method, Run]] = []
        failures: dict[Method, Exception] = {}
        examples = len(self.workshop.train)
        few = min(self.few or examples, examples) if method.apart else examples
        share = few / examples

        def attempt(candidate: Method) -> Search[Outcome]:
            if method.solved and tried and time.perf_counter() > self.search_ends:
                return Outcome(math.nan)
            try:
                run = yield from self.train(name, candidate, self.seeds[0], share)
            except ATTEMPT as error:  # for this configuration only
                failures[candidate] = bare(error)
                return Outcome(math.nan)
            tried.append((candidate, run))
            failed = run.score is None or run.status != "ok"
            return Outcome(math.nan) if failed else outcome(candidate, run)

        try:
            with contained(self.folder, name):
                settled = self.workshop.settled(method)
                axes = self.axes(method)
            cheap = settled.solved and not settled.asks
            if not cheap or self._asked == 1 or not len(self.workshop.validation):
                chosen = yield from tune(settled, axes, 1 if cheap else self.trials, attempt)
            else:
                chosen = yield from search(settled, axes, attempt)
            if not tried:
                raise failures[chosen]
            runs = []
            for seed in self.seeds[:1] if method.solved and not method.draws else self.seeds:
                runs.append((yield from self.train(name, chosen, seed, share)))
        except ATTEMPT as error:
            return self.failed(name, method, error), []
        stopped = Stop(share, "time", epochs=share, examples=few) if few < examples else None
        return self.tested(name, method, chosen, runs, tried, failures, stopped)

    def train(
        self, name: str, method: Method, seed: int, share: float = 1.0, watch: Progress | None = None
    ) -> Search[Run]:
        """Asks for one training. watch: progress of a race, which can end it."""
        spec = self.spec(name, method, seed, share)
        asked = Pending(spec, self._within(name) / spec.key, watch or self.progress)
        yield asked
        return asked.result()

    def tested(
        self, name: str, method: Method, chosen: Method, runs: Sequence[Run], tried: Sequence[tuple[Method, Run]],
        failures: Mapping[Method, Exception], stopped: Stop | None = None,
    ) -> Finished:  # fmt: skip
        """The row of a method, with the test predictions of its trainings; see `Tuned` for the arguments."""
        found = Tuned(name, method, chosen, runs, tried, failures, stopped)
        if found.diverged:
            return row_of_diverged(found, found.diverged, self.workshop), []
        predictions, latencies = [], []
        try:
            for run in runs:
                start = time.perf_counter()
                with contained(self.folder, name):
                    one, seconds = self._tested(name, chosen, run)
                self.test_seconds = max(self.test_seconds or 0.0, time.perf_counter() - start)
                predictions.append(one)
                latencies.append(seconds)
                self.places[name, run.seed] = self.place(name, chosen, run.seed, run.share)
        except ATTEMPT as error:
            trials, seconds = trials_of(found, self.workshop), found.tuning_seconds
            return replace(self.failed(name, chosen, error), trials=trials, tuning_seconds=seconds), []
        if self.keeps_trials:
            trained = [*tried, *((chosen, run) for run in runs)]
            self._ingredients.gather(
                name, [(each, run, self.place(name, each, run.seed, run.share)) for each, run in trained]
            )
        else:
            self._drop_others(name)
        return row_of(found, predictions, latencies, self.workshop), predictions

    def _tested(self, name: str, method: Method, run: Run) -> tuple[Predictions, float]:
        place = self.place(name, method, run.seed, run.share)
        found, seconds, beside = tested(place / "model", self.workshop)
        data = self.workshop.data
        kept = [(predictions_file(self.folder, name, run.seed), data.test, found)]
        if (place / ANSWERS).is_file():
            held = Predictions.read(place / ANSWERS)
            kept.append((validation_file(self.folder, name, run.seed), data.validation, held))
        for file, examples, one in kept:
            one.write(file)
            write_texts(file.with_suffix(".jsonl"), data.task, examples, one, beside)
        return found, seconds

    def in_turns(self, rows: Sequence[Row]) -> list[Row]:
        """The rows with latencies of the first seeds, measured in turns."""
        first: dict[str, Path] = {}
        for (name, _), place in self.places.items():
            first.setdefault(name, place)
        times: dict[str, list[float]] = {name: [] for name in first}
        for _ in range(ROUNDS):
            for name, place in first.items():
                with contextlib.suppress(Exception):  # keeps the latency from its test
                    times[name] += latencies_of(place / "model", self.workshop, 12)
        return [
            replace(row, latency_seconds=statistics.median(found)) if (found := times.get(row.method)) else row
            for row in rows
        ]

    def failed(self, name: str, method: Method, error: Exception) -> Row:
        """The row of a method that does not fit, or that failed."""
        return row_of_failed(name, method, error, self.workshop.metric.name, self.folder)

    def axes(self, method: Method) -> list[Axis]:
        """Axes to tune, without fields that the user has set."""
        default = type(method)()
        return [
            axis
            for axis in method.axes(self.workshop.backbone)
            if getattr(method, axis.name) == getattr(default, axis.name)
        ]

    def _drop_others(self, name: str) -> None:
        """Removes the weights of trials that were not chosen; their results stay in the record."""
        for place in self._within(name).iterdir():
            if place not in self.places.values():
                shutil.rmtree(place / "model", ignore_errors=True)


def outcome(method: Method, run: Run) -> Outcome:
    """Criterion of tuning: the metric, with the loss for ties.

    For solved heads it is the loss after temperature scaling, because on few examples many configurations have the same
    accuracy, while log loss uses the confidence. Ranking metrics benefit too.
    """
    score, loss = float(run.score or 0.0), run.validation_loss or 0.0
    return Outcome(-loss, -score) if method.solved else Outcome(score, loss)
