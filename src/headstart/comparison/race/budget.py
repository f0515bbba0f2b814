"""A race's time: how long the heat and the final may be, for how many methods and seeds. Pure functions of costs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from headstart.comparison.race.race import TELLING
from headstart.core.duration import span
from headstart.core.records.comparison import Forecast
from headstart.engine.forecast import Cost

RESERVE = 0.05
"share of the remaining time that is kept for what no forecast sees"
FEWEST = 15
"steps of the shortest training: fewer teach nothing"
ENOUGH = 1 / 2
"of a usual training, that a final has before a second seed is bought"
HEAT = 1 / 8
"of the final, that the heat has where all seeds are bought"
LONGER = 1.5
"times the heat's length that a final has at least"
NAMED = 2
"methods that a verdict names: the best, and a cheaper one or the next"


@dataclass(frozen=True)
class Contender:
    """What the trainings of one method take."""

    cost: Cost
    test_seconds: float = 0.0
    "of one look at the test split"
    control: bool = False

    def seconds(self, share: float, seeds: int = 1) -> float:
        """Of so many trainings of this share of the usual steps; all models but the first are tested in it."""
        return seeds * self.cost.seconds(share) + max(0, seeds - 1) * self.test_seconds


@dataclass(frozen=True)
class Course:
    """What there is time for. Lengths are shares of the steps of a usual training."""

    heat: float
    final: float
    finalists: int
    seeds: int = 1
    "of the best finalist"
    others: int = 1
    "seeds of each of the others"
    trials: int = 1
    "configurations of each method in the heat"

    def seconds(self, contenders: Sequence[Contender]) -> float:
        """Of all of it, each row's test included, where the costliest methods become the finalists."""
        heat = sum(c.cost.seconds(self.heat) * self.trials + c.test_seconds for c in contenders)
        return heat + self.final_seconds(_costliest(contenders, self.final))

    def final_seconds(self, order: Sequence[Contender]) -> float:
        """Of the finalists in this order, less their rows' first test; the first seed may be the heat's training.

        The best is taken to be the costliest of them.
        """
        named = order[: self.finalists]
        first = sum(c.cost.seconds(self.final) for c in named) if self.heat < self.final else 0.0
        again = sorted((c.cost.seconds(self.final) + c.test_seconds for c in named), reverse=True)
        return first + (self.seeds - 1) * sum(again[:1]) + (self.others - 1) * sum(again[1:])


def planned(contenders: Sequence[Contender], seconds: float, seeds: int, trials: int) -> Course | None:
    """The best course that fits, None where one short training of each does not.

    It grows from the shortest as long as it fits, in this order: the final of two methods to `ENOUGH`, seeds of the
    best of them, seeds of the other, the final to its usual length (with all seeds, the heat to an eighth of it),
    further finalists, the heat to a third, configurations.
    """
    left, usual = seconds * (1 - RESERVE), min(c.cost.steps for c in contenders)
    fewest = min(1.0, FEWEST / usual)
    real = sum(not c.control for c in contenders) or len(contenders)

    def fits(course: Course) -> bool:
        return course.seconds(contenders) <= left

    best = Course(fewest, fewest, min(NAMED, real))
    if not fits(best):
        return None
    whole = Course(1.0, 1.0, len(contenders), seeds, seeds)
    if trials == 1 and math.isfinite(seconds) and fits(whole):
        return whole  # a heat would choose nothing
    best = _longest(best, fewest, ENOUGH, lambda length: replace(best, final=length), fits)
    best = _seeded(best, seeds, fits)
    heat = HEAT if best.others == seeds else 0.0
    best = _longest(
        best, best.final, 1.0, lambda length: replace(best, final=length, heat=max(fewest, heat * length)), fits
    )
    best = _counted(best, "finalists", len(contenders), fits)
    if best.final == 1.0:
        best = _longest(best, best.heat, TELLING, lambda length: replace(best, heat=length), fits)
    return _counted(best, "trials", trials, fits)


def shortest(contenders: Sequence[Contender]) -> Course:
    """The course of whom there is no time for: one short training of as many as fit."""
    fewest = min(1.0, FEWEST / min(c.cost.steps for c in contenders)) if contenders else 1.0
    return Course(fewest, fewest, 1)


def expected(contenders: Sequence[Contender], course: Course, epochs: float | None, left: float) -> Forecast:
    """What a course takes.

    epochs: of the final, where they are fewer than usual. left: seconds of the budget.
    """
    one = replace(course, finalists=1)
    heat = replace(course, finalists=0).seconds(contenders)
    most = course.seconds(contenders)
    least = heat + min(one.final_seconds([c]) for c in contenders) if course.heat < course.final else most
    peak = max((c.cost.peak_memory_bytes or 0 for c in contenders), default=0) or None
    again = course.seeds + (course.finalists - 1) * course.others
    again -= course.finalists * (course.heat == course.final)
    trainings = len(contenders) * course.trials + again
    return Forecast(min(least, left), min(most, left), peak, epochs, trainings)


def said(forecast: Forecast, methods: int = 0, seconds: float | None = None, peak: int | None = None) -> str:
    """The forecast in words; beside what it came to, once that is known."""
    between = span(forecast.most_seconds)
    if span(forecast.least_seconds) != between:
        between = f"{span(forecast.least_seconds)} to {between}"
    least = f"at least {forecast.peak_memory_bytes / 1e9:.1f} GB" if forecast.peak_memory_bytes else ""
    if seconds is not None:
        memory = f"{(peak or 0) / 1e9:.1f} GB of memory" + (f" (forecast {least})" if least else "")
        return f"{span(seconds)} (forecast {between}), {memory}"
    memory = f", {least} of memory" if least else ""
    runs = "1 training" if forecast.trainings == 1 else f"{forecast.trainings} trainings"
    return f"{methods} method{'' if methods == 1 else 's'}, up to {runs}, about {between}{memory}"


def finals(order: Sequence[Contender], heat: float, seconds: float, seeds: int) -> Course:
    """What there is time for after the heat, for these contenders, first the one that goes on before the others."""

    def fits(course: Course) -> bool:
        return course.final_seconds(order) <= seconds

    best = Course(heat, heat, min(NAMED, len(order)))
    worth = min(1.0, LONGER * heat)
    longer = _longest(best, heat, max(ENOUGH, worth), lambda length: replace(best, final=length), fits)
    if longer.final < worth or heat == 1.0:  # it would bring little: more seeds of the heat's length are bought
        return _seeded(best, seeds, fits)
    best = _seeded(longer, seeds, fits)
    best = _longest(best, best.final, 1.0, lambda length: replace(best, final=length), fits)
    return _counted(best, "finalists", len(order), fits)


def _longest(
    course: Course, low: float, high: float, at: Callable[[float], Course], fits: Callable[[Course], bool]
) -> Course:
    """At the greatest length from `low` to `high` with which it fits, to a hundredth; the course where none does."""
    if high <= low or not fits(at(low)):
        return course
    if fits(at(high)):
        return at(high)
    while high - low > 0.01 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if fits(at(middle)) else (low, middle)
    return at(low)


def _counted(course: Course, name: str, most: int, fits: Callable[[Course], bool]) -> Course:
    """With the greatest number up to `most` with which it fits."""
    while getattr(course, name) < most:
        one_more: dict[str, Any] = {name: getattr(course, name) + 1}
        more = replace(course, **one_more)
        if not fits(more):
            break
        course = more
    return course


def _seeded(course: Course, seeds: int, fits: Callable[[Course], bool]) -> Course:
    """With as many seeds as fit: of the best first."""
    course = _counted(course, "seeds", seeds, fits)
    return _counted(course, "others", course.seeds, fits)


def _costliest(contenders: Sequence[Contender], share: float) -> list[Contender]:
    """The costliest first, controls last: they are no finalists before the others are."""
    return sorted(contenders, key=lambda c: (c.control, -c.seconds(share)))
