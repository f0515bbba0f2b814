"""Tuning: each method gets the same number of trials on validation, spent where they still gain."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from headstart.methods.method import Axis, Method


@dataclass(frozen=True)
class Outcome:
    """What one trial reached on validation; a larger `score` is better, of equals the lower `loss`."""

    score: float
    loss: float = 0.0

    @property
    def order(self) -> tuple[float, float]:
        return (-math.inf if math.isnan(self.score) else self.score, -self.loss)


def tune(method: Method, axes: Sequence[Axis], trials: int, run: Callable[[Method], Outcome]) -> Method:
    """The best of at most `trials` configurations, by coordinate search from the method's own values.

    It steps up along each axis as long as validation improves, then down along those where that did not help, so that
    few trials look at every axis; when none helps any more, steps are halved (in logarithm), twice at most. The same
    configuration is never run twice.
    """
    seen = {method: run(method)}
    best = method

    def climb(axis: Axis, up: bool, finer: int) -> bool:
        """Steps in one direction for as long as it helps; whether it did at all."""
        nonlocal best
        start = best
        while len(seen) < trials:
            moved = axis.neighbours(getattr(best, axis.name), finer)[0 if up else 1]
            candidate = replace(best, **{axis.name: moved})
            if candidate in seen:
                break
            seen[candidate] = run(candidate)
            if seen[candidate].order <= seen[best].order:
                break
            best = candidate
        return best is not start

    for finer in range(3):
        gained = True
        while gained and len(seen) < trials:
            stuck = [axis for axis in axes if not climb(axis, True, finer)]
            fell = [climb(axis, False, finer) for axis in stuck]
            gained = len(stuck) < len(axes) or any(fell)
    return best


def candidates(settled: Method, axes: Sequence[Axis], trials: int) -> list[Method]:
    """The method's own values, then a step up along each axis, then a step down; at most `trials`, none twice."""
    found = [settled]
    for direction in (0, 1):
        for axis in axes:
            value = axis.neighbours(getattr(settled, axis.name))[direction]
            found.append(replace(settled, **{axis.name: value}))
    return list(dict.fromkeys(found))[:trials]
