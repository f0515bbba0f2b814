"""Gates: what a paired difference says about a release.

Oriented so that more is better, a difference d with the 95 % interval [l, h], a p-value adjusted by Holm (over the
checks of one model that have to improve, and apart from these over those that guard against a loss) and the tolerance t
of its check are

- **improved**, where p < 5 % and d > 0;
- **regressed**, where p < 5 % and d < -t: worse for certain, and by more than is tolerated;
- **same**, where [l, h] lies in [-t, t], or d is worse for certain but within the tolerance;
- **undecided** otherwise: the examples can't tell.

Under no true difference at most 5 % of evaluations show a regression in any of the checks that guard against one:
Holm's correction holds for any dependence between them (`tests/evaluate/test_gate.py` simulates it).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

from scipy.special import ndtri

from headstart.core.evaluation import CheckRecord, Score
from headstart.evaluate.intervals import interval
from headstart.evaluate.metrics import Metric
from headstart.evaluate.paired import Paired, compare, holm
from headstart.evaluate.predictions import Predictions

ALPHA = 0.05

Gate = Literal["improved", "not_regressed", "none"]
Status = Literal["improved", "same", "regressed", "undecided"]


def status_of(found: Paired, p_adjusted: float, tolerance: float, higher_is_better: bool) -> Status:
    d, low, high = oriented(found, higher_is_better)
    if p_adjusted < ALPHA and d > 0:
        return "improved"
    if p_adjusted < ALPHA and d < -tolerance:
        return "regressed"
    certain = p_adjusted < ALPHA and d < 0
    return "same" if certain or (-tolerance <= low and high <= tolerance) else "undecided"


def oriented(found: Paired, higher_is_better: bool) -> tuple[float, float, float]:
    """Difference, low and high so that more is better."""
    if higher_is_better:
        return found.difference, found.low, found.high
    return -found.difference, -found.high, -found.low


def passes(status: Status, gate: Gate) -> bool:
    if gate == "none":
        return True
    return status == "improved" if gate == "improved" else status != "regressed"


def more_examples(found: Paired, harder: float, examples: int, tolerance: float) -> int | None:
    """About how many more would decide, if the difference d stays what it is.

    harder: how many times as small as without its family Holm's correction asks the p-value to be.

    Decided is where |d| is so many standard errors from 0 as Holm's correction asks for here, or where the interval
    lies within the tolerance t, `1.96 s < t - |d|`. Standard errors s are the test's own, |d| over the quantile of its
    p-value, and the interval's; of `s^2 = s_examples^2 + s_seeds^2` more examples n' lessen the first by n / n'. None
    where no number of examples can do it.
    """
    d, usual = abs(found.difference), float(ndtri(1 - ALPHA / 2))
    ways = [((found.high - found.low) / (2 * usual), (tolerance - d) / usual)]
    if 0 < found.p_value < 1 and d > 0:
        ways.append((d / float(ndtri(1 - found.p_value / 2)), d / float(ndtri(1 - ALPHA / (2 * harder)))))
    needed = []
    for error, enough in ways:
        left = enough**2 - found.seed_error**2
        if enough > 0 and left > 0 and math.isfinite(error):
            of_examples = max(0.0, error**2 - found.seed_error**2)
            needed.append(max(1, math.ceil(examples * (of_examples / left - 1))))
    return min(needed, default=None)


def checked(
    names: Mapping[str, tuple[Metric, Gate, float]], base: Mapping[str, Sequence[Predictions]],
    tuned: Mapping[str, Sequence[Predictions]],
) -> list[CheckRecord]:  # fmt: skip
    """Each check of one model against the base, in the order of `names`: check to metric, gate and tolerance."""
    paired = {name: compare(tuned[name], base[name], metric) for name, (metric, _, _) in names.items()}
    raised = {name: one.p_value for name, one in paired.items()}  # what guards nothing stands for itself
    for family in ("improved", "not_regressed"):  # what has to improve is one question, what must not be lost another
        mine = [name for name, (_, gate, _) in names.items() if gate == family]
        raised |= dict(zip(mine, holm([paired[name].p_value for name in mine], most=math.inf)))
    found = []
    for name, (metric, gate, tolerance) in names.items():
        one, p_adjusted, examples = paired[name], min(1.0, raised[name]), len(base[name][0])
        status = status_of(one, p_adjusted, tolerance, metric.higher_is_better)
        harder = raised[name] / one.p_value if one.p_value > 0 else 1.0
        more = more_examples(one, harder, examples, tolerance) if status == "undecided" else None
        before, after = (Score(*interval(runs[name], metric), len(runs[name])) for runs in (base, tuned))
        found.append(
            CheckRecord(
                name, metric.name, metric.higher_is_better, examples, before, after, one.difference, one.low, one.high,
                one.p_value, p_adjusted, tolerance, status, gate, passes(status, gate), more,
            )
        )  # fmt: skip
    return found
