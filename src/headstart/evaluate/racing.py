"""A race on the bench: who starts, who goes on after each heat, and what is told of those who don't."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from headstart.artifacts.artifact import fields_of
from headstart.core.comparison import Forecast, Row, Stop, Trial
from headstart.core.errors import ResourceError
from headstart.core.files import write_json
from headstart.core.runs import PROGRESS
from headstart.engine.checkpoint import Checkpoint
from headstart.engine.forecast import Cost, cost
from headstart.evaluate.bench import ATTEMPT, Bench
from headstart.evaluate.budget import epochs_within, forecast, going_on, said
from headstart.evaluate.claims import clearly_behind
from headstart.evaluate.containment import bare, contained
from headstart.evaluate.metrics import Metric
from headstart.evaluate.race import HEATS, Standing, best_of_each, compared, heat, leader
from headstart.evaluate.tune import candidates
from headstart.evaluate.wording import bounds
from headstart.methods.method import Method


class Runner(NamedTuple):
    name: str
    method: Method
    "one configuration of it"

    def __str__(self) -> str:
        return self.name


@dataclass
class Raced:
    """What a race says of one method."""

    chosen: Method | None = None
    trials: list[Trial] = field(default_factory=list)
    "those that were stopped"
    row: Row | None = None
    "of a method that does not go on"


@dataclass(eq=False)
class Race:
    """Runs the heats of all methods that train by steps.

    deadline: `time.perf_counter()` by which the whole comparison should be over; the bench's seeds are cut to what
    fits.
    """

    bench: Bench
    methods: Mapping[str, Method]
    deadline: float | None = None
    shortens: bool = False
    "whether all methods may train for fewer epochs where the time is too short for one training of each"
    forecast: Forecast | None = None
    pauses: dict[Runner, float] = field(default_factory=dict, init=False)
    "seconds of the last heat that were not its steps'"
    _trained: dict[Runner, float] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self.trainings = self.bench.trainings

    def start(self) -> None:
        """Fills the cache, forecasts, and settles epochs and trials for all."""
        self.failed: dict[str, Row] = {}
        self.stopped: dict[Runner, tuple[Standing, Stop]] = {}
        self.lost: dict[Runner, Exception] = {}
        names = [name for name, method in self.methods.items() if not method.solved]
        for feed in (self.trainings.train, self.trainings.validation):
            self.trainings.cache.fill(feed, self.trainings.options.batch_tokens)
        self.costs = self._costs(names)
        shortened = self._shorten()
        self.starters = self._starters(further=shortened is None)
        starters = [runner.name for runner in self.starters]
        self.forecast = forecast(starters, self.costs, len(self.bench.seeds), shortened)
        if self.forecast:
            if self.deadline:  # further seeds go first, then methods
                single = forecast(starters, self.costs, 1, shortened) or self.forecast
                most = max(single.least_seconds, self.deadline - time.perf_counter())
                self.forecast = replace(single, most_seconds=min(self.forecast.most_seconds, most))
            start = "1 training starts" if len(self.starters) == 1 else f"{len(self.starters)} trainings start"
            self.trainings.progress.say(f"{start}; {said(self.forecast)}")
            if self.deadline and self.forecast.least_seconds > self.deadline - time.perf_counter():
                self.trainings.progress.say(
                    "that is more than the budget: each method's first heat and the leader's training run all the "
                    "same; fewer --methods or --epochs take less"
                )

    def run(self) -> dict[str, Raced]:
        """What became of each of the methods that train by steps; every one has a choice or a row."""
        running = self.starters
        for number, share in enumerate(HEATS):
            standings = self._heat(running, share)
            if not standings:
                running = []
                break
            asked = len(self.bench.seeds)
            stops = self._stops(standings, number)
            if len(self.bench.seeds) < asked:
                self.trainings.progress.say(f"{len(self.bench.seeds)} of {asked} seeds, for want of budget")
            self.stopped |= {runner: (standings[runner], stop) for runner, stop in stops.items()}
            for runner in stops:
                self._state(runner).remove()
            running = [runner for runner in standings if runner not in stops]
            if not running:
                break
            first = leader(standings)
            value = self.trainings.metric.of(standings[first].predictions)
            self.trainings.progress.say(
                f"after {share:.0%} of the steps {len(running)} of {len(standings)} go on; {first} leads "
                f"with {self.trainings.metric.name} {value:.4g} on validation"
            )
        chosen = {runner.name: runner.method for runner in running}
        names = [name for name, method in self.methods.items() if not method.solved]
        return {name: self._raced(name, chosen.get(name)) for name in names}

    def _costs(self, names: Sequence[str]) -> dict[str, Cost]:
        found = {}
        for name in names:
            self.trainings.progress.stage(f"forecast of {name}")
            try:
                with contained(self.trainings.folder, name):
                    found[name] = cost(self.trainings.setting, self.trainings.settled(self.methods[name]))
            except ATTEMPT as error:
                self.failed[name] = self.bench.failed(name, self.methods[name], error)
        return found

    def _shorten(self) -> int | None:
        """The most epochs with which one training of each method fits the time, but no less than `LEAST_STEPS`.

        None where these are as many as usual.
        """
        usual = self.trainings.options.epochs
        assert usual is not None
        if self.deadline is None or not self.shortens or not self.costs:
            return None
        left = self.deadline - time.perf_counter()
        steps = -(-len(self.trainings.train) // (self.trainings.options.batch_size or 1))
        epochs = self._decided("epochs", epochs_within(left, list(self.costs.values()), usual, steps))
        if epochs == usual:
            return None
        self.trainings.shorten(epochs)
        self.costs = {name: replace(cost, seconds=cost.seconds * epochs / usual) for name, cost in self.costs.items()}
        self.trainings.progress.say(f"{epochs} of {usual} epochs, for all methods, for want of budget")
        return epochs

    def _starters(self, further: bool = True) -> list[Runner]:
        """Every method, and one more configuration of all while the first heat takes a third of the time at most.

        further: whether there are more configurations; where trainings are shortened, theirs would be shorter still.
        Raises `ResourceError` where the states of those that will be paused don't fit on the disk.
        """
        runs: dict[str, list[Runner]] = {}
        for name in self.costs:
            method = self.methods[name]
            tried = candidates(self.trainings.settled(method), self.bench.axes(method), self.bench.trials)
            runs[name] = [Runner(name, candidate) for candidate in tried]

        def first(count: int) -> list[Runner]:
            return [each[place] for place in range(count) for each in runs.values() if place < len(each)]

        left = math.inf if self.deadline is None else self.deadline - time.perf_counter()
        free = self.trainings.free_bytes()
        starters = first(1)
        if (wanted := self._states(starters)) > free:
            raise ResourceError(
                f"a race keeps the states of {len(starters)} paused trainings, about {wanted / 1e9:.2f} GB, and "
                f"{self.trainings.folder} has {free / 1e9:.2f} GB free. Free space, choose another --out, or give "
                "fewer --methods; without --race and --budget one training at a time keeps its state."
            )

        def in_time(runners: Sequence[Runner]) -> bool:
            costs = [self.costs[runner.name] for runner in runners]
            return sum(HEATS[0] * cost.seconds + cost.pause_seconds for cost in costs) <= left / 3

        def most(fits: Callable[[list[Runner]], bool]) -> int:
            """Configurations of each method, the same for all, those that are solved included."""
            count = 1
            while further and count < self.bench.trials and fits(first(count + 1)):
                count += 1
            return count

        on_disk = most(lambda runners: self._states(runners) <= free)
        self.bench.trials = min(self._decided("trials", most(in_time)), on_disk)
        return first(self.bench.trials)

    def _decided(self, name: str, found: Any) -> Any:
        """What the clock decided: a run that is taken up goes on with what it began with."""
        file = self.trainings.folder / PROGRESS / f"{name}.json"
        if not file.is_file():
            write_json(file, found)
        return json.loads(file.read_text())

    def _state(self, runner: Runner) -> Checkpoint:
        return self.trainings.checkpoint(*runner, self.bench.seeds[0])

    def _states(self, runners: Sequence[Runner]) -> int:
        """Bytes that their states will add on the disk; the largest lies there twice while it is written."""
        sizes = [self.costs[runner.name].state_bytes for runner in runners]
        there = sum(self._state(runner).size for runner in runners)
        return max(0, sum(sizes) - there) + max(sizes, default=0)

    def _heat(self, running: Sequence[Runner], share: float) -> dict[Runner, Standing]:
        """Where the runners are after it. A method is out where all of its configurations failed."""
        found: dict[Runner, Standing] = {}
        for runner in running:
            start, before = time.perf_counter(), self._trained.get(runner, 0.0)
            try:
                found[runner] = self.trainings.until(share, *runner, self.bench.seeds[0])
                self._trained[runner] = found[runner].step_seconds
                self.pauses[runner] = max(0.0, time.perf_counter() - start - (self._trained[runner] - before))
            except ATTEMPT as problem:
                self.lost[runner] = bare(problem)
        left = {runner.name for runner in (*found, *self.stopped)}
        for runner, error in self.lost.items():
            if runner.name not in left:
                self.failed[runner.name] = self.bench.failed(runner.name, runner.method, error)
        return found

    def _stops(self, standings: Mapping[Runner, Standing], number: int) -> dict[Runner, Stop]:
        share, metric = HEATS[number], self.trainings.metric
        stops = heat(standings, metric, number, lambda runner: runner.name)
        left = {runner: one for runner, one in standings.items() if runner not in stops}
        if self.deadline is not None and left:
            best = best_of_each(left, lambda runner: runner.name)
            order = sorted(left, key=lambda runner: (runner in best, left[runner].order), reverse=True)
            times = [(self._whole(runner, left[runner], share), self.pauses.get(runner, 0.0)) for runner in order]
            seconds = self.deadline - time.perf_counter()
            going, seeds = self._decided(
                f"after-heat-{number + 1}", going_on(times, number, seconds, len(self.bench.seeds))
            )
            stops |= {r: compared(standings, r, metric, share, "time") for r, goes in zip(order, going) if not goes}
            self.bench.seeds = self.bench.seeds[:seeds]
        return stops

    def _whole(self, runner: Runner, standing: Standing, share: float) -> float:
        """Seconds of the whole training, from what its steps took: little yet of one that unfreezes as it goes."""
        cost, found = self.costs[runner.name], standing.step_seconds / share
        return found if cost.steady else max(found, cost.seconds)

    def _raced(self, name: str, chosen: Method | None) -> Raced:
        """Trials in the order in which they were stopped; of a method that is out, the one that came furthest."""
        settled = self.trainings.settled(self.methods[name])
        mine = {runner: found for runner, found in self.stopped.items() if runner.name == name}
        trials = []
        for runner, (one, stop) in mine.items():
            sound = one.predictions.finite
            reached = (self.trainings.metric.of(one.predictions), one.loss) if sound else (None, None)
            changed = self.bench.changed(settled, runner.method)
            trials.append(Trial(changed, reached[0], reached[1], one.seconds, "stopped", stopped=stop))
        trials += [self.bench.lost(settled, r.method, error) for r, error in self.lost.items() if r.name == name]
        if chosen or name in self.failed:
            return Raced(chosen, trials, self.failed.get(name))
        furthest = max(mine, key=lambda r: (mine[r][1].share, mine[r][1].reason != "other", mine[r][0].order))
        one, stop = mine[furthest]
        metric = self.trainings.metric
        row = Row(
            name, told(stop, metric), metric.name, fields_of(furthest.method),
            validation_value=metric.of(one.predictions), learning_rate=getattr(furthest.method, "learning_rate", None),
            tuning_seconds=sum(each.seconds for each, _ in mine.values()), control=furthest.method.control,
            trials=tuple(trials), stopped=stop,
        )  # fmt: skip
        return Raced(None, trials, row)


def told(stop: Stop, metric: Metric) -> str:
    """The status of a method whose best training was stopped."""
    when = f"after {stop.share:.0%} of its training"
    if stop.reason == "diverged":
        return f"diverged: {when}"
    points = " points" if metric.percent else ""
    number = format((100 if metric.percent else 1) * (stop.difference or 0.0), "+.1f" if metric.percent else "+.3g")
    where = f"{number}{points}{bounds(stop.low, stop.high, metric, '+')} from {stop.leader} on validation"
    if stop.reason == "time":
        then = "behind then" if clearly_behind(stop, metric) else "not shown to be worse"
        return f"stopped: for time, {when}, {then}: {where}"
    return f"stopped: {when}, {where}"
