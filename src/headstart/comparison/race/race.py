"""Race (successive halving): every method completes a short training, the remaining ones a longer one.

A **heat** is a complete training: its schedule decays to the end, so that every method can be tested at the last
training that it completed. After a heat a method stops for one of two reasons. It is **behind** if the upper end of the
95 % interval of its difference from the leader, paired by validation example, is below `-SLACK * gain`; `gain` is how
far the leader is above guessing, and the slack is the share of it that a longer training may make good. Only a heat of
at least `TELLING` of a usual training decides this. Or it is out of **time**: under a budget as many methods train
longer as fit, in the order of `in_order`.

`tests/comparison/test_race_simulated.py` races trainings measured by `benchmarks/cases/race_curves.py`;
`docs/benchmarks.md` reports how often the method that would have won was lost, and how many points.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from headstart.comparison.verdict.claims import clearly_behind
from headstart.comparison.verdict.wording import bounds
from headstart.core.records.training import Stop
from headstart.stats.guess import guess
from headstart.stats.metrics import Metric
from headstart.stats.paired import compare
from headstart.stats.predictions import Predictions

TELLING = 1 / 3
"share of a usual training from which on a method can be behind the others"
FEW_EPOCHS = 3.0
"epochs of a final up to which a head that starts fitted is still ahead at its end"
SLACK = 0.10
"share of the leader's gain over guessing that a method may be behind after a heat and stay"

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True)
class Standing:
    """Validation result of one training."""

    predictions: Predictions
    score: float = math.nan
    "larger is better; NaN, like the loss, if the training diverged"
    loss: float = math.nan
    seconds: float = 0.0
    control: bool = False

    @property
    def order(self) -> tuple[float, float]:
        sound = self.predictions.finite and not math.isnan(self.score)
        return (self.score, -self.loss) if sound else (-math.inf, -math.inf)


def leader(field: Mapping[K, Standing]) -> K:
    """The best method that is not a control, or the best control if there are only controls; the first of equals.

    A method that diverged leads only if all did.
    """
    sound = [key for key in field if field[key].predictions.finite] or list(field)
    return max([key for key in sound if not field[key].control] or sound, key=lambda key: field[key].order)


def behind(field: Mapping[K, Standing], metric: Metric, share: float, slack: float = SLACK) -> dict[K, Stop]:
    """Methods that diverged or are clearly behind the leader, with their differences from it."""
    first = leader(field)
    best = field[first].predictions
    if not best.finite:
        return {key: Stop(share, "diverged") for key in field}
    sign = 1 if metric.higher_is_better else -1
    allowed = slack * max(0.0, sign * (metric.of(best) - metric.of(guess(best))))
    stopped = {}
    for key in field:
        if key == first:
            continue
        found = compared(field, key, metric, share, "behind")
        end = found.high if metric.higher_is_better else found.low
        if found.reason == "diverged" or (end is not None and sign * end < -allowed):
            stopped[key] = found
    return stopped


def compared(field: Mapping[K, Standing], key: K, metric: Metric, share: float, reason: str) -> Stop:
    """A stop with the difference from the leader, or without one if the method diverged."""
    if not field[key].predictions.finite:
        return Stop(share, "diverged")
    first = leader(field)
    found = compare([field[key].predictions], [field[first].predictions], metric, permutations=1)
    return Stop(share, reason, str(first), found.difference, found.low, found.high)


def in_order(
    field: Mapping[K, Standing], metric: Metric, listed: Sequence[K], solved: Callable[[K], bool], in_turn: bool
) -> list[K]:
    """The order in which methods train longer, after a heat that is too short to rank them all, without diverged ones.

    Methods whose head starts fitted lead early on, however the others end: so each of the two kinds is compared with
    its leader. Methods that are not clearly behind it keep the listed order, in which the most often best come first;
    then the others by value; controls last. in_turn: the kinds alternate, for finals of few epochs; else the methods
    whose head starts fitted come second.
    """
    sound = {key: one for key, one in field.items() if one.predictions.finite}
    turns: list[tuple[K | None, ...]] = []
    for control in (False, True):
        kinds = []
        for kind in (False, True):
            mine = {k: sound[k] for k in listed if k in sound and sound[k].control == control and solved(k) == kind}
            late = behind(mine, metric, 0.0) if mine else {}
            near = [key for key in mine if key not in late]
            kinds.append(near + sorted(late, key=lambda key: mine[key].order, reverse=True))
        turns += itertools.zip_longest(*kinds) if in_turn else [(key,) for kind in kinds for key in kind]
    return [key for turn in turns for key in turn if key is not None]


def told(stop: Stop, metric: Metric) -> str:
    """The status of a method that a race stopped, in words."""
    seen = stop.length
    if not stop.leader:
        return f"stopped: for time, after {seen}"
    points = " points" if metric.percent else ""
    number = format((100 if metric.percent else 1) * (stop.difference or 0.0), "+.1f" if metric.percent else "+.3g")
    where = f"{number}{points}{bounds(stop.low, stop.high, metric, '+')} from {stop.leader} on validation"
    if stop.reason == "time":
        then = "behind then" if clearly_behind(stop, metric) else "not shown to be worse"
        return f"stopped: for time, after {seen}, {then}: {where}"
    return f"stopped: after {seen}, {where}"
