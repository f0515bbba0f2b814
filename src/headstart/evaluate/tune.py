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

    Along each axis it steps up, or else down, as long as validation improves; when no axis helps any more, steps are
    halved (in logarithm), twice at most. The same configuration is never run twice.
    """
    seen = {method: run(method)}
    best = method

    def better(axis: Axis, up: bool, finer: int) -> bool:
        nonlocal best
        moved = axis.neighbours(getattr(best, axis.name), finer)[0 if up else 1]
        candidate = replace(best, **{axis.name: moved})
        if candidate in seen or len(seen) >= trials:
            return False
        seen[candidate] = run(candidate)
        if seen[candidate].order <= seen[best].order:
            return False
        best = candidate
        return True

    for finer in range(3):
        gained = True
        while gained and len(seen) < trials:
            gained = False
            for axis in axes:
                for up in (True, False):
                    climbed = False
                    while better(axis, up, finer):
                        climbed = gained = True
                    if climbed:
                        break
    return best
