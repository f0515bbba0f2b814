"""Verdict: the best method, and the cheapest non-inferior one. A pure function of the rows.

The best is chosen on validation. A cheaper method within the margin is a claim of non-inferiority: the one-sided test
of "it loses the margin or more" must reject after Holm's correction for all cheaper methods, so that the probability of
any false claim is at most alpha. A difference that is only not significant shows nothing.

Simulated (`tests/comparison/test_verdict_simulated.py`, slow; 90 % right, three seeds that differ by half a point, a
margin of one point), comparisons in which a cheaper method is claimed, with one and with ten of them: 3 points worse,
0 of 200 at 100, 300 and 1,000 test examples; exactly one point worse, 1.5 and 0.0 % at 300, 4.0 and 5.5 % at 3,000; as
good as the best, 4 and 4 % at 300, 29 and 17 % at 1,000, 46 and 50 % at 3,000.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

from headstart.comparison.verdict.claims import CHEAPER, COSTS, Candidate, candidates, reference
from headstart.comparison.verdict.sentences import lines
from headstart.core.errors import unknown
from headstart.core.records.comparison import Row, Verdict
from headstart.stats.guess import default_margin
from headstart.stats.metrics import Metric

PREFER = ("quality", *COSTS)


def check_preference(prefer: str) -> None:
    """Raises `ConfigurationError` for an unknown criterion."""
    if prefer not in PREFER:
        raise unknown("preference", prefer, PREFER)


def verdict(
    rows: Sequence[Row],
    metric: Metric,
    *,
    test_size: int,
    alpha: float = 0.05,
    margin: float | None = None,
    prefer: str = "quality",
    frozen: Collection[str] = ("probe", "centroid", "mahalanobis", "knn", "mix", "zeroshot"),
    trivial: Collection[str] = ("majority",),
) -> Verdict:
    """The recommended method: the best or, if the user prefers a cost, the cheapest within the margin.

    Stopped methods, controls, and methods without a test against the best are no candidates. The cost is
    `train_seconds`, or the preferred one.

    test_size: number of test examples. margin: in units of the metric [default: `guess.default_margin`].
    prefer: `quality`, `training`, `latency` or `size`.
    frozen: methods that only fit a head on features of the frozen base.
    trivial: controls that ignore the input; other controls ignore the pretrained weights.
    """
    best = reference(rows, metric)
    if best is None or (best.control and any(row.stopped and not row.control for row in rows)):
        return Verdict(None, _nothing(rows), None, alpha, prefer=prefer)
    if margin is None:
        margin = default_margin(metric, best.gains[0].guess if best.gains else None)
    cheaper = candidates(best, rows, metric, margin, alpha, prefer, test_size)
    cheapest = _cheapest([one for one in cheaper if one.holds], prefer)
    told = lines(rows, best, cheaper, cheapest, metric, margin, alpha, prefer, test_size, frozen, trivial)
    needed = [one.examples_needed for one in cheaper if one.open and one.examples_needed]
    needed = needed or [one.if_as_good for one in cheaper if one.open and one.if_as_good]
    return Verdict(
        cheapest.row.method if cheapest and prefer != "quality" else best.method,
        " ".join(told),
        best.method,
        alpha,
        told,
        cheapest=cheapest.row.method if cheapest else None,
        most_lost=min(margin, max(0.0, -cheapest.claim.bound)) if cheapest else None,
        margin=margin,
        prefer=prefer,
        examples_needed=None if cheapest or not needed else min(needed),
    )


def _cheapest(found: Sequence[Candidate], prefer: str) -> Candidate | None:
    """The lowest cost; nearly equal ones by the smallest artifact, because heads that store examples are large."""
    cost = COSTS.get(prefer, COSTS["training"])
    least = min((cost(one.row) or 0.0 for one in found), default=0.0)
    near = [one for one in found if CHEAPER * (cost(one.row) or 0.0) <= least]

    def order(one: Candidate) -> tuple[float, float]:
        size = one.row.artifact_bytes
        return (math.inf if size is None else size, cost(one.row) or 0.0)

    return min(near, key=order, default=None)


def _nothing(rows: Sequence[Row]) -> str:
    if not rows:
        return "No verdict: no method was run."
    return "No verdict: no method ran to the end (" + "; ".join(f"{r.method}: {r.status}" for r in rows) + ")."
