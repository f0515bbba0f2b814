"""A race on the bench: the heat, the choice of finalists, the final with its seeds, and the rows."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, NamedTuple

from headstart.comparison.bench import ATTEMPT, Bench
from headstart.comparison.race.budget import RESERVE, Contender, Course, expected, finals, planned, said, shortest
from headstart.comparison.race.race import FEW_EPOCHS, TELLING, Standing, behind, compared, in_order, leader
from headstart.comparison.race.watch import OutOfTime, Watch
from headstart.comparison.trials.containment import bare
from headstart.comparison.trials.pending import Search
from headstart.comparison.trials.trial import RUN, checkpoint_in
from headstart.comparison.tune import candidates
from headstart.core.disk.files import slug, write_json
from headstart.core.disk.runs import PROGRESS
from headstart.core.duration import length
from headstart.core.records.comparison import Forecast, Row
from headstart.core.records.training import Stop
from headstart.core.records.trial import Run
from headstart.engine.forecast import Cost
from headstart.methods.method import Method

MEASURING = 0.1
"share of the time in which steps of the methods are measured"
APART = 0.01
"share of the time from which on a pass over the data for a control alone is cut short"
FEW = 1000
"training examples that it has then"
SEARCH = 0.03
"share of the time in which the penalties of solved heads are searched"


class Runner(NamedTuple):
    name: str
    method: Method
    "one configuration of it"

    def __str__(self) -> str:
        return self.name


@dataclass(eq=False)
class Race:
    """All methods of a comparison that train by steps.

    deadline: `time.perf_counter()` by which the whole comparison is over.
    """

    bench: Bench
    methods: Mapping[str, Method]
    deadline: float | None = None
    forecast: Forecast | None = None
    _runs: dict[str, list[Run]] = field(default_factory=dict, init=False)
    "the longest trainings of each method's configuration, a seed each"
    _tried: dict[str, list[tuple[Method, Run]]] = field(default_factory=dict, init=False)
    _lost: dict[Runner, Exception] = field(default_factory=dict, init=False)
    _measured: dict[str, Cost] = field(default_factory=dict, init=False)
    "the costs of a method by its last training, which has more steps than the forecast"

    def __post_init__(self) -> None:
        self.workshop = self.bench.workshop
        self._decisions = self.bench.folder / PROGRESS / "race"

    def start(self) -> None:
        """Fills the cache, forecasts the costs of trainings, and settles the number of configurations per method."""
        begun = time.perf_counter()
        for feed in (self.workshop.train, self.workshop.validation):
            self.workshop.cache.fill(feed, self.workshop.options.batch_tokens)
        if self._decided("few", time.perf_counter() - begun > APART * self.left):
            self.bench.few = FEW
        self.costs, self.failed = self.bench.costs(self.methods, MEASURING * self.left)
        if not self.costs:
            return
        course = self._course()
        self.bench.trials = course.trials
        self.bench.search_ends = time.perf_counter() + SEARCH * self.left
        epochs = self.workshop.epochs(course.final) if course.final < 1 else None
        self.forecast = expected(self._contenders(), course, epochs, self.left)
        self.bench.progress.say(said(self.forecast, len(self.methods)))

    @property
    def left(self) -> float:
        return math.inf if self.deadline is None else self.deadline - time.perf_counter()

    def rows(self) -> Search[None]:
        """The row of every method that trains by steps, with its test predictions."""
        yield from ((row, []) for row in self.failed.values())
        if not self.costs:
            return
        course = self._course("course")
        field = yield from self._heat(course)
        order, stops = self._after(field, course)
        if order:
            finalists = yield from self._final(order, field, course)
            stops |= {
                r: compared(field, r, self.workshop.metric, course.heat, "time") for r in order if r not in finalists
            }
        chosen = {runner.name: runner for runner in field}
        for name in self.costs:
            if runner := chosen.get(name):
                failures = {r.method: error for r, error in self._lost.items() if r.name == name}
                yield self.bench.tested(
                    name, self.methods[name], runner.method, self._runs[name], self._tried[name], failures,
                    self._stop(stops[runner]) if runner in stops else None,
                )  # fmt: skip
            elif errors := [error for runner, error in self._lost.items() if runner.name == name]:
                yield self.bench.failed(name, self.methods[name], errors[0]), []
            else:
                yield self.late(name, self.costs[name].seconds(course.heat)), []

    def late(self, name: str, need: float | None = None) -> Row:
        """The row of a method without enough time. need: seconds of its first training."""
        status = "not run: no time was left for it" + (f", about {need:.0f} s" if need else "")
        return Row(name, status, self.workshop.metric.name, control=self.methods[name].control)

    def _heat(self, course: Course) -> Search[dict[Runner, Standing]]:
        """Trains each method's configurations, cheapest method first, and gives the best of each on validation."""
        for name in self.costs:
            self.bench.outlook.expect(name, self.costs[name].seconds(course.heat), course.trials)
        names = self._decided("order", sorted(self.costs, key=lambda name: self.costs[name].seconds(course.heat)))
        best: dict[str, tuple[Runner, Standing]] = {}
        kept: dict[str, Run] = {}
        for number in range(course.trials):
            for name in names:
                settled = self.workshop.settled(self.methods[name])
                tried = candidates(settled, self.bench.axes(self.methods[name]), course.trials)
                if number >= len(tried):
                    continue
                runner = Runner(name, tried[number])
                run = yield from self._train(runner, self.bench.seeds[0], course.heat, first=not best)
                if run is None:
                    continue
                self._tried.setdefault(name, []).append((runner.method, run))
                found = self.bench.standing(*runner, run)
                if name not in best or found.order > best[name][1].order:
                    best[name] = runner, found
                    kept[name] = run
        self._runs = {name: [run] for name, run in kept.items()}
        return dict(best.values())

    def _after(self, field: Mapping[Runner, Standing], course: Course) -> tuple[list[Runner], dict[Runner, Stop]]:
        """The methods that may train longer, in their order, and the stops of those that are behind."""
        stops: dict[Runner, Stop] = {}
        if course.heat < 1 and field and (self.deadline is None or course.heat >= TELLING):
            stops = behind(field, self.workshop.metric, course.heat)
        left = {runner: one for runner, one in field.items() if runner not in stops}
        if course.heat >= TELLING:
            order = sorted(left, key=lambda runner: (not left[runner].control, left[runner].order), reverse=True)
        else:
            listed = sorted(left, key=lambda runner: list(self.methods).index(runner.name))
            once = self.workshop.epochs(course.final) <= FEW_EPOCHS
            order = in_order(
                left, self.workshop.metric, listed, lambda runner: self.costs[runner.name].begins_well, once
            )
        return order, {r: stop for r, stop in stops.items() if stop.reason != "diverged"}

    def _final(self, order: Sequence[Runner], field: Mapping[Runner, Standing], heat: Course) -> Search[list[Runner]]:
        """Trains as many methods with as many seeds as there is time for, and gives these methods.

        Further seeds go to the best of the planned finalists first, then to the next; then further methods train.
        """
        seeds = self.bench.seeds
        contenders = [self._contender(runner.name) for runner in order]
        course = Course(**self._decided("final", asdict(finals(contenders, heat.heat, self._free(), len(seeds)))))
        self._announce(order, field, course)
        named, others = order[: course.finalists], order[course.finalists :]
        again = course.final > course.heat  # else the heat's trainings are those of the first seed
        for runner in named:
            one = self._contender(runner.name)
            self.bench.outlook.expect(runner.name, one.cost.seconds(course.final), course.others - (not again))
        finalists = [] if again else list(order)
        for runner in named if again else ():
            if (yield from self._train(runner, seeds[0], course.final)):
                finalists.append(runner)
        ranked = [r for r in named if r in finalists]
        ranked.sort(key=lambda r: self.bench.standing(r.name, r.method, self._runs[r.name][0]).order, reverse=True)
        for runner in ranked[:1]:
            seconds = self._contender(runner.name).cost.seconds(course.final)
            self.bench.outlook.expect(runner.name, seconds, course.seeds - course.others)
        for runner in ranked:
            for seed in seeds[1:]:
                yield from self._train(runner, seed, course.final)
        least = min((len(self._runs[r.name]) for r in ranked), default=1)
        for runner in others:  # as many seeds as those have, or as there is time for
            spent = 0.0 if again else self._need(runner, course.final)
            fit = [n for n in range(1, least + 1) if self._need(runner, course.final, n) - spent <= self._free()]
            for seed in seeds[0 if again else 1 : self._decided(f"further-{slug(runner.name)}", max(fit, default=0))]:
                if (yield from self._train(runner, seed, course.final)) and runner not in finalists:
                    finalists.append(runner)
        return finalists

    def _announce(self, order: Sequence[Runner], field: Mapping[Runner, Standing], course: Course) -> None:
        metric, first = self.workshop.metric, leader(field)
        value = metric.of(field[first].predictions)
        self.bench.progress.say(
            f"after {length(*self.workshop.seen(course.heat))} each, {first} leads with {metric.name} {value:.4g} on "
            f"validation; {', '.join(map(str, order[: course.finalists]))} train for "
            f"{length(*self.workshop.seen(course.final))}, the best with {course.seeds} of "
            f"{len(self.bench.seeds)} seeds"
        )

    def _need(self, runner: Runner, share: float, seeds: int = 1) -> float:
        """Seconds of this many trainings, and of testing all but the first."""
        return self._contender(runner.name).seconds(share, seeds)

    def _train(self, runner: Runner, seed: int, share: float, first: bool = False) -> Search[Run | None]:
        """One training, if there is time for it; it is given up if it would end too late.

        The runs of a method are those of its longest training, one per seed. first: train regardless of the time.
        """
        need = self._need(runner, share, 1 if seed == self.bench.seeds[0] else 2)
        need -= 0.0 if seed == self.bench.seeds[0] else self._need(runner, share)
        key = f"{slug(runner.name)}-{self.bench.spec(*runner, seed, share).key}"
        if not self._decided(key, first or need <= self._free()):
            return None
        limit = math.inf if first or self.deadline is None else self.deadline - self._reserved()
        cost = self.costs[runner.name]
        watch = Watch(self.bench.progress, limit, cost.steps // cost.epochs)
        start, done = time.perf_counter(), (self.bench.place(*runner, seed, share) / RUN).is_file()
        try:
            run = yield from self.bench.train(*runner, seed, share, watch)
        except OutOfTime:
            checkpoint_in(self.bench.place(*runner, seed, share)).remove()
            self._decide(key, False)
            return None
        except ATTEMPT as problem:
            self._lost[runner] = bare(problem)
            return None
        if not done:
            self._measured[runner.name] = cost.measured(time.perf_counter() - start, share, watch.step_seconds)
        before = [one for one in self._runs.get(runner.name, ()) if one.share == share and one.seed != seed]
        self._runs[runner.name] = [*before, run]
        return run

    def _course(self, name: str = "trials") -> Course:
        contenders = self._contenders()
        found = planned(contenders, self.left, len(self.bench.seeds), self.bench.trials)
        return Course(**self._decided(name, asdict(found or shortest(contenders))))

    def _contenders(self) -> list[Contender]:
        return [self._contender(name) for name in self.costs]

    def _contender(self, name: str) -> Contender:
        """The costs of its trainings, measured by the last one if there is one."""
        found, test = self._measured.get(name, self.costs[name]), self.bench.test_seconds
        if test is None:
            each = found.look_seconds / max(1, len(self.workshop.validation))
            test = each * len(self.workshop.data.test) + found.fixed_seconds
        return Contender(found, test, self.methods[name].control)

    def _reserved(self) -> float:
        """Seconds to keep for the tests that are still to come."""
        return sum(self._contender(name).test_seconds * max(1, len(self._runs.get(name, ()))) for name in self.costs)

    def _free(self) -> float:
        return (self.left - self._reserved()) * (1 - RESERVE)

    def _stop(self, stop: Stop) -> Stop:
        epochs, examples = self.workshop.seen(stop.share)
        return replace(stop, epochs=epochs, examples=examples)

    def _decided(self, name: str, found: Any) -> Any:
        """A decision that depends on the clock, kept in a file, so that a resumed run repeats it."""
        file = self._decisions / f"{name}.json"
        return json.loads(file.read_text()) if file.is_file() else self._decide(name, found)

    def _decide(self, name: str, found: Any) -> Any:
        write_json(self._decisions / f"{name}.json", found)
        return found
