"""A race's time: how long the heat and the final may be, for how many methods and seeds. Pure functions of costs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from headstart.core.comparison import Forecast
from headstart.core.duration import span
from headstart.engine.forecast import Cost
from headstart.evaluate.race import TELLING

RESERVE = 0.05
"share of the remaining time that is kept for what no forecast sees"
FEWEST = 15
"steps of the shortest training: fewer teach nothing"
ENOUGH = 100
"steps of a final that are bought before a second seed is"
HEAT = 1 / 8
"of the final, that the heat has at least where the final is longer than `ENOUGH`"
LONGER = 1.5
"times the heat's length that a final has at least"
NAMED = 2
"methods that a verdict names: the best, and a cheaper one or the next"


@dataclass(frozen=True)
class Contender:
    """What the trainings of one method take."""

    cost: Cost
    test_seconds: float = 0.0
    "the test split is looked at once"
    control: bool = False

    def seconds(self, share: float) -> float:
        return self.cost.seconds(share) + self.test_seconds


@dataclass(frozen=True)
class Course:
    """What there is time for. Lengths are shares of the steps of a usual training."""

    heat: float
    final: float
    finalists: int
    seeds: int = 1
    trials: int = 1
    "configurations of each method in the heat"

    def seconds(self, contenders: Sequence[Contender]) -> float:
        """Of all of it, where the costliest methods become the finalists."""
        again = self.heat < self.final  # else the heat's trainings are the final's
        heat = sum(c.seconds(self.heat) * self.trials for c in contenders)
        return heat + final_seconds(_costliest(contenders, self.final)[: self.finalists], self.final, self.seeds, again)


def final_seconds(finalists: Sequence[Contender], share: float, seeds: int, again: bool = True) -> float:
    """Of the final. again: whether the first seed is trained anew."""
    return sum(c.seconds(share) for c in finalists) * (seeds if again else seeds - 1)


def planned(contenders: Sequence[Contender], seconds: float, seeds: int, trials: int) -> Course | None:
    """The best course that fits, None where one short training of each does not.

    It grows from the shortest as long as it fits, in this order: the final of two methods to `ENOUGH` steps, seeds, the
    final to its usual length with a heat of an eighth of it, further finalists, the heat to a third, configurations.
    """
    left, usual = seconds * (1 - RESERVE), min(c.cost.steps for c in contenders)
    fewest, enough = (min(1.0, steps / usual) for steps in (FEWEST, ENOUGH))
    real = sum(not c.control for c in contenders) or len(contenders)

    def fits(course: Course) -> bool:
        return course.seconds(contenders) <= left

    best = Course(fewest, fewest, min(NAMED, real))
    if not fits(best):
        return None
    whole = Course(1.0, 1.0, len(contenders), seeds)
    if trials == 1 and math.isfinite(seconds) and fits(whole):
        return whole  # a heat would choose nothing
    best = _longest(fewest, enough, lambda length: replace(best, final=length), fits)
    best = _counted(best, "seeds", seeds, fits)
    best = _longest(best.final, 1.0, lambda length: replace(best, final=length, heat=max(fewest, HEAT * length)), fits)
    best = _counted(best, "finalists", len(contenders), fits)
    if best.final == 1.0:
        best = _longest(best.heat, TELLING, lambda length: replace(best, heat=length), fits)
    return _counted(best, "trials", trials, fits)


def shortest(contenders: Sequence[Contender]) -> Course:
    """The course of whom there is no time for: one short training of as many as fit."""
    fewest = min(1.0, FEWEST / min(c.cost.steps for c in contenders)) if contenders else 1.0
    return Course(fewest, fewest, 1)


def expected(contenders: Sequence[Contender], course: Course, epochs: float | None, left: float) -> Forecast:
    """What a course takes.

    epochs: of the final, where they are fewer than usual. left: seconds of the budget.
    """
    each = sorted(final_seconds([c], course.final, course.seeds, course.heat < course.final) for c in contenders)
    heat = sum(c.seconds(course.heat) * course.trials for c in contenders)
    most = heat + sum(each[-course.finalists :])
    least = heat + sum(each[:1]) if course.heat < course.final else most
    peak = max((c.cost.peak_memory_bytes or 0 for c in contenders), default=0) or None
    trainings = len(contenders) * course.trials + course.finalists * (course.seeds - (course.heat == course.final))
    return Forecast(min(least, left), min(most, left), peak, epochs, trainings)


def said(forecast: Forecast, methods: int = 0, seconds: float | None = None, peak: int | None = None) -> str:
    """The forecast in words; beside what it came to, once that is known."""
    between = span(forecast.most_seconds)
    if span(forecast.least_seconds) != between:
        between = f"{span(forecast.least_seconds)} to {between}"
    memory = f"at least {(forecast.peak_memory_bytes or 0) / 1e9:.1f} GB"
    if seconds is not None:
        return f"{span(seconds)} (forecast {between}), {(peak or 0) / 1e9:.1f} GB of memory (forecast {memory})"
    return f"{methods} methods, up to {forecast.trainings} trainings, about {between}, {memory} of memory"


def finals(order: Sequence[Contender], heat: float, seconds: float, seeds: int) -> Course:
    """What there is time for after the heat, for these contenders, first the one that goes on before the others."""
    left, usual = seconds * (1 - RESERVE), min(c.cost.steps for c in order)
    enough = max(heat, min(1.0, ENOUGH / usual))

    def fits(course: Course) -> bool:
        again = course.final > heat
        return final_seconds(order[: course.finalists], course.final, course.seeds, again) <= left

    best = Course(heat, heat, min(NAMED, len(order)))
    longer = _longest(heat, enough, lambda length: replace(best, final=length), fits)
    if longer.final < LONGER * heat:  # it would bring little: more seeds of the heat's length are bought
        return _counted(best, "seeds", seeds, fits)
    best = _counted(longer, "seeds", seeds, fits)
    best = _longest(best.final, 1.0, lambda length: replace(best, final=length), fits)
    return _counted(best, "finalists", len(order), fits)


def _longest(low: float, high: float, at: Callable[[float], Course], fits: Callable[[Course], bool]) -> Course:
    """The course at the greatest length from `low`, which fits, to `high` with which it fits, to a hundredth."""
    if high <= low or fits(at(high)):
        return at(max(low, high))
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


def _costliest(contenders: Sequence[Contender], share: float) -> list[Contender]:
    """The costliest first, controls last: they are no finalists before the others are."""
    return sorted(contenders, key=lambda c: (c.control, -c.seconds(share)))
