"""Hyperparameter search on validation: the same number of trials for trained methods, a full search for solved heads.

Trials of trained methods cost a training, so all methods get the same number. Solved heads on cached features are
almost free, so their search continues until the optimum is bracketed by two worse values.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from headstart.comparison.trials.pending import Search
from headstart.methods.method import Axis, Method


@dataclass(frozen=True)
class Outcome:
    """Validation result of a trial; larger `score` is better, ties go to the lower `loss`."""

    score: float
    loss: float = 0.0

    @property
    def order(self) -> tuple[float, float]:
        return (-math.inf if math.isnan(self.score) else self.score, -self.loss)


Attempt = Callable[[Method], Search[Outcome]]
"trains one configuration, as a search of one trial"


def tune(method: Method, axes: Sequence[Axis], trials: int, attempt: Attempt) -> Search[Method]:
    """Coordinate search: the best of at most `trials` configurations, starting at the method's defaults.

    It steps up along each axis while validation improves, then down along axes where that did not help, so that a few
    trials test every axis; if none helps any more, steps are halved on a logarithmic scale, at most twice. No
    configuration runs twice.
    """
    seen = {method: (yield from attempt(method))}
    best = method

    def climb(axis: Axis, up: bool, finer: int) -> Search[bool]:
        """Steps in one direction while it helps; returns True if it helped at all."""
        nonlocal best
        start = best
        while len(seen) < trials:
            moved = axis.neighbours(getattr(best, axis.name), finer)[0 if up else 1]
            candidate = replace(best, **{axis.name: moved})
            if candidate in seen:
                break
            seen[candidate] = yield from attempt(candidate)
            if seen[candidate].order <= seen[best].order:
                break
            best = candidate
        return best is not start

    for finer in range(3):
        gained = True
        while gained and len(seen) < trials:
            gained, stuck = False, []
            for axis in axes:
                if (yield from climb(axis, True, finer)):
                    gained = True
                else:
                    stuck.append(axis)
            for axis in stuck:
                gained |= yield from climb(axis, False, finer)
    return best


MOST_STEPS = 8
"maximum number of steps in one direction: penalties from 3e-7 to 3e9"


def search(method: Method, axes: Sequence[Axis], attempt: Attempt) -> Search[Method]:
    """The best configuration of a solved head: all listed values, and a line search on each numeric axis.

    From the default value the search steps up while validation improves, or down if the first step up did not help, so
    that the best lies between two worse ones (or after `MOST_STEPS`).
    """
    seen: dict[Method, Outcome] = {}

    def order(candidate: Method) -> Search[tuple[float, float]]:
        if candidate not in seen:
            seen[candidate] = yield from attempt(candidate)
        return seen[candidate].order

    found = []
    for start in starts(method, axes):
        best = start
        highest = yield from order(best)
        for axis in axes:
            for direction in () if axis.values else (0, 1):
                for _ in range(MOST_STEPS):
                    moved = replace(best, **{axis.name: axis.neighbours(getattr(best, axis.name))[direction]})
                    if moved in seen or (reached := (yield from order(moved))) <= highest:
                        break
                    best, highest = moved, reached
        found.append(best)
    return max(found, key=lambda one: seen[one].order)


def starts(method: Method, axes: Sequence[Axis]) -> list[Method]:
    """The method with each combination of the listed values of its axes, its defaults first."""
    listed = [axis for axis in axes if axis.values]
    combined = itertools.product(*(axis.values for axis in listed))
    all_of_them = [replace(method, **{a.name: v for a, v in zip(listed, values)}) for values in combined]
    return list(dict.fromkeys([method, *all_of_them]))


def candidates(settled: Method, axes: Sequence[Axis], trials: int) -> list[Method]:
    """The method's defaults, then a step up along each axis, then a step down; at most `trials`, without repeats."""
    found = [settled]
    for direction in (0, 1):
        for axis in axes:
            value = axis.neighbours(getattr(settled, axis.name))[direction]
            found.append(replace(settled, **{axis.name: value}))
    return list(dict.fromkeys(found))[:trials]
