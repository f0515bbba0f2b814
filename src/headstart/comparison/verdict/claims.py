"""Statistical claims about the rows: the reference, cheaper non-inferior methods, worse methods."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from headstart.core.records.comparison import Gain, PartRow, Row
from headstart.core.records.training import Stop
from headstart.stats.metrics import Metric
from headstart.stats.non_inferiority import Claim, claims, examples_needed, upper_bound
from headstart.stats.paired import Paired, holm

COSTS: dict[str, Callable[[Row], float | None]] = {
    "training": lambda row: row.train_seconds,
    "latency": lambda row: row.latency_seconds,
    "size": lambda row: row.artifact_bytes,
}
"costs for `--prefer`; quality uses the cost of training here"
CHEAPER = 0.8
"maximum cost of a cheaper method relative to the best, because smaller differences are noise on a busy machine"


@dataclass(frozen=True)
class Candidate:
    """A cheaper method, with the claim that it is non-inferior to the reference."""

    row: Row
    claim: Claim
    holds: bool
    "True if the claim is shown, and on no part of the test set the method is worse by more than the margin"
    open: bool
    "True if neither the claim nor its opposite is shown"
    examples_needed: int | None
    "number of test examples that would show it with 80 % power, if the difference stays the same"
    if_as_good: int | None
    "that number if the method is truly as good as the reference; None if its seeds differ too much"


def reference(rows: Sequence[Row], metric: Metric) -> Row | None:
    """The reference: the best method on validation that completed its training and is no control.

    If only controls ran, the best of these. Rows without a validation value come last; ties go to the first. None if no
    row ran.
    """
    ok = [row for row in rows if trained(row)]

    def rank(row: Row) -> float:
        if row.validation_value is None or math.isnan(row.validation_value):
            return -math.inf
        return row.validation_value * sign(metric)

    return max([row for row in ok if not row.control] or ok, key=rank, default=None)


def trained(row: Row) -> bool:
    """True if the row has complete trainings, which a race did not stop."""
    return row.status == "ok" and row.stopped is None and row.value is not None and not math.isnan(row.value)


def sign(metric: Metric) -> int:
    return 1 if metric.higher_is_better else -1


def candidates(
    best: Row, rows: Sequence[Row], metric: Metric, margin: float, alpha: float, prefer: str, test_size: int
) -> list[Candidate]:
    """Completed methods with clearly lower cost than the best, with the claims that they are non-inferior.

    The claims are corrected by Holm, so that the probability of any false one is at most alpha.
    """
    cost = COSTS.get(prefer, COSTS["training"])
    most = cost(best)
    cheaper = [
        row for row in rows
        if trained(row) and not row.control and row is not best and row.standard_error is not None
        and most is not None and (spent := cost(row)) is not None and spent <= CHEAPER * most
    ]  # fmt: skip
    tests = [difference_of(row, metric) for row in cheaper]
    found = []
    for row, test, claim in zip(cheaper, tests, claims(tests, margin, alpha)):
        holds = claim.shown and not worse_parts(row, metric, margin, alpha)
        needed, if_as_good = (
            examples_needed(test, test_size, margin, assumed=assumed, claims=len(cheaper), alpha=alpha)
            for assumed in (None, 0.0)
        )
        possible = not claim.shown and upper_bound(test, alpha / len(cheaper)) > -margin
        found.append(Candidate(row, claim, holds, possible, needed, if_as_good))
    return found


def difference_of(found: Row | Gain, metric: Metric) -> Paired:
    """A recorded difference in the orientation of the tests, where more is better."""
    error = found.standard_error
    assert error is not None
    return Paired(
        sign(metric) * (found.difference or 0.0), math.nan, math.nan, math.nan, error.seeds,
        math.nan if error.examples is None else error.examples, error.unit,
        math.inf if error.freedom is None else error.freedom,
    )  # fmt: skip


def worse_parts(row: Row, metric: Metric, margin: float, alpha: float) -> list[str]:
    """Parts of the test set on which the method is worse by more than the margin, after Holm's correction for parts."""
    adjusted = holm([1.0 if part.p_value is None else part.p_value for part in row.parts])
    return [
        part.name
        for part, p in zip(row.parts, adjusted)
        if p <= alpha and sign(metric) * (part.difference or 0.0) < -margin
    ]


def gain(row: Row, metric: Metric) -> float:
    """The difference from the reference, positive if this row is better."""
    return (row.difference or 0.0) * sign(metric)


def shown(row: Row, alpha: float, metric: Metric) -> int:
    """1 if the row is better than the reference by its uncorrected p and interval, -1 if it is worse, else 0.

    For planned comparisons, such as tuning against the frozen base.
    """
    low, high, p = row.difference_low, row.difference_high, row.p_value
    if low is None or high is None or p is None or p > alpha or low <= 0 <= high:
        return 0
    return 1 if gain(row, metric) > 0 else -1


def worse(row: Row, metric: Metric, alpha: float) -> bool:
    """True if the row is significantly worse than the reference: by its whole interval, or by the corrected p."""
    nearest = row.difference_high if metric.higher_is_better else row.difference_low
    alone = nearest is not None and sign(metric) * nearest < 0
    return (alone or (row.p_adjusted is not None and row.p_adjusted <= alpha)) and gain(row, metric) < 0


def gap(part: PartRow, other: PartRow) -> tuple[float, float, float]:
    """Difference of the values of two disjoint parts, with an interval from theirs (Newcombe's MOVER).

    d - sqrt((a - low_a)^2 + (high_b - b)^2) to d + sqrt((high_a - a)^2 + (b - low_b)^2). Source: Zou & Donner 2008.
    """
    values = [
        (math.nan if number is None else number) for one in (part, other) for number in (one.value, one.low, one.high)
    ]
    a, low_a, high_a, b, low_b, high_b = values
    return a - b, a - b - math.hypot(a - low_a, high_b - b), a - b + math.hypot(high_a - a, b - low_b)


def clearly_behind(stop: Stop, metric: Metric) -> bool:
    """True if the whole interval of the difference from the leader was on the worse side at the stop."""
    end = stop.high if metric.higher_is_better else stop.low
    return end is not None and sign(metric) * end < 0
