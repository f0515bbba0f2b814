"""The race: every configuration starts, those that are clearly behind on validation stop early.

All runners have the same schedule and pause at the same shares of it (`HEATS`). A paused training goes on from its
checkpoint to the bits that it would have reached anyway, so racing changes which trainings end early and nothing else.
At the first heat a runner is compared with its own method's best configuration only: methods start at different paces
(one from a solved head, another from zeros), and who is ahead of whom says little yet. At the last heat it is compared
with the leader of all. It is **behind** where the upper end of the 95 % interval of its difference, paired by
validation example, is below `-slack * gain`. `gain` is how far the leader is above guessing; the slack (none within a
method, `SLACK` at the last heat) is how much of it a slow starter may make good later:
`tests/evaluate/test_race_simulated.py` races learning curves measured by `benchmarks/race_curves.py`, and
`docs/benchmarks.md` says how often they lost the eventual winner. After the last heat each method goes on with the
configuration that is best by then.

Under a time budget, what the remaining trainings cost is forecast from what the heats took; if they don't fit, first
the further seeds go, then the methods that are last on validation, and the record says that it was for **time**.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from headstart.core.comparison import Stop
from headstart.evaluate.guess import guess
from headstart.evaluate.metrics import Metric
from headstart.evaluate.paired import compare
from headstart.evaluate.predictions import Predictions

HEATS = (1 / 9, 1 / 3)
"shares of the steps after which the field is thinned"
SLACK = 0.10
"share of the leader's gain over guessing that a runner may be behind at the last heat and stay"

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True)
class Standing:
    """Where a runner is at a heat."""

    predictions: Predictions
    "on validation"
    score: float = math.nan
    "a larger one is better; not a number, like the loss, where the training diverged"
    loss: float = math.nan
    seconds: float = 0.0
    "of its training so far"
    control: bool = False
    step_seconds: float = 0.0
    "of these, what its steps took: not what is done once, such as filling the cache"

    @property
    def order(self) -> tuple[float, float]:
        sound = self.predictions.finite and not math.isnan(self.score)
        return (self.score, -self.loss) if sound else (-math.inf, -math.inf)


def leader(field: Mapping[K, Standing]) -> K:
    """The best of those that are not controls (of the controls where only these run); of equals the first.

    One that diverged leads only where all did.
    """
    sound = [key for key in field if field[key].predictions.finite] or list(field)
    return max([key for key in sound if not field[key].control] or sound, key=lambda key: field[key].order)


def behind(
    field: Mapping[K, Standing], metric: Metric, share: float, slack: float, reason: str = "behind"
) -> dict[K, Stop]:
    """Those that are clearly behind the leader, and how far."""
    first = leader(field)
    best = field[first].predictions
    if not best.finite:
        return {key: Stop(share, "diverged") for key in field}
    sign = 1 if metric.higher_is_better else -1
    allowed = slack * max(0.0, sign * (metric.of(best) - metric.of(guess(best))))
    stopped = {}
    for key, one in field.items():
        if key == first:
            continue
        if not one.predictions.finite:
            stopped[key] = Stop(share, "diverged")
            continue
        found = compared(field, key, metric, share, reason)
        end = found.high if metric.higher_is_better else found.low
        nearest = math.inf if end is None else sign * end
        if nearest < -allowed:
            stopped[key] = found
    return stopped


def heat(field: Mapping[K, Standing], metric: Metric, number: int, group: Callable[[K], str]) -> dict[K, Stop]:
    """Who stops at heat `number`: those behind in their group; at the last one those behind the leader of all, and of

    each group all but the best.
    """
    share = HEATS[number]
    stops: dict[K, Stop] = {}
    if number < len(HEATS) - 1:
        for name in dict.fromkeys(map(group, field)):
            members = {key: one for key, one in field.items() if group(key) == name}
            stops |= behind(members, metric, share, 0.0, "other")
        return stops
    stops = behind(field, metric, share, SLACK)
    left = {key: one for key, one in field.items() if key not in stops}
    best = best_of_each(left, group)
    return stops | {key: compared(field, key, metric, share, "other") for key in left if key not in best}


def compared(field: Mapping[K, Standing], key: K, metric: Metric, share: float, reason: str) -> Stop:
    """A runner's stop, with its difference from the leader."""
    first = leader(field)
    found = compare([field[key].predictions], [field[first].predictions], metric, permutations=1)
    return Stop(share, reason, str(first), found.difference, found.low, found.high)


def best_of_each(field: Mapping[K, Standing], group: Callable[[K], str]) -> set[K]:
    """Of each group the runner that is best."""
    best: dict[str, K] = {}
    for key, one in field.items():
        held = best.get(group(key))
        if held is None or one.order > field[held].order:
            best[group(key)] = key
    return set(best.values())
