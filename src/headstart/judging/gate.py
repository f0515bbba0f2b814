"""Gates: what a paired difference says about a release.

Of a difference d, oriented so that more is better, l and u are the one-sided 95 % bounds (`non_inferiority`): d lies
above l with that confidence, and with the same below u. With the tolerance t of a check, its gate

- **not_regressed** (non-inferiority) is passed where l > -t, failed where u < -t, else undecided;
- **improved** is passed where l > 0, failed where u <= 0, else undecided.

A guard fails where a loss *beyond the tolerance* is shown. A loss that is certain (u < 0) but may be within the
tolerance is no failure, as one within it is what the tolerance allows; it passes only once l > -t shows that.

Of several checks of one model that have to improve, gains are claimed, so that Holm's correction decides over l > 0.
Guards are not corrected: all of them have to pass, and the chance that a loss beyond the tolerance passes is at most
5 % for each, so for all of them together (`tests/judging/test_gate.py` simulates both).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from headstart.core.records.evaluation import CheckRecord, Score
from headstart.stats.intervals import interval
from headstart.stats.metrics import Metric
from headstart.stats.non_inferiority import ALPHA, examples_needed, lower_bound, p_value, upper_bound
from headstart.stats.paired import Paired, compare, holm, oriented
from headstart.stats.predictions import Predictions

Gate = Literal["improved", "not_regressed", "none"]
Status = Literal["improved", "not worse", "worse, tolerated", "worse", "regressed", "undecided"]
Verdict = Literal["passed", "failed", "undecided", "none"]


def status_of(lower: float, upper: float, tolerance: float) -> Status:
    """What the bounds of a difference, of which more is better, show."""
    if lower > 0:
        return "improved"
    if upper < -tolerance:
        return "regressed"
    within = lower > -tolerance
    if upper < 0:
        return "worse, tolerated" if within else "worse"
    return "not worse" if within else "undecided"


def gate_of(lower: float, upper: float, gate: Gate, tolerance: float) -> Verdict:
    """What a gate makes of the bounds; Holm's correction is the caller's."""
    if gate == "none":
        return "none"
    bar = 0.0 if gate == "improved" else -tolerance
    if lower > bar:
        return "passed"
    return "failed" if upper < bar or (gate == "improved" and upper == 0) else "undecided"


def together(verdicts: Iterable[str]) -> Verdict:
    """Failed where one failed, else undecided where one is, else passed."""
    found = set(verdicts)
    return "failed" if "failed" in found else "undecided" if "undecided" in found else "passed"


def needed(found: Paired, examples: int, gate: Gate, tolerance: float, claims: int = 1) -> int | None:
    """How many examples in all would decide with a chance of 80 %, if the difference stays what it is.

    found: oriented so that more is better. claims: how many gains are claimed together. None where no number would: the
    difference lies on the bar, or seeds differ too much.
    """
    bar = 0.0 if gate == "improved" else -tolerance
    if found.difference > bar:
        return examples_needed(found, examples, -bar, claims=claims if gate == "improved" else 1)
    return examples_needed(oriented(found, False), examples, bar)


def checked(
    names: Mapping[str, tuple[Metric, Gate, float]], base: Mapping[str, Sequence[Predictions]],
    tuned: Mapping[str, Sequence[Predictions]],
) -> list[CheckRecord]:  # fmt: skip
    """Each check of one model against the base, in the order of `names`: check to metric, gate and tolerance."""
    paired = {name: compare(tuned[name], base[name], metric) for name, (metric, _, _) in names.items()}
    better = {name: oriented(paired[name], metric.higher_is_better) for name, (metric, _, _) in names.items()}
    p_gate = {
        name: p_value(better[name], 0.0 if gate == "improved" else tolerance)
        for name, (_, gate, tolerance) in names.items()
        if gate != "none"
    }
    claimed = [name for name, (_, gate, _) in names.items() if gate == "improved"]
    p_gate |= dict(zip(claimed, holm([p_gate[name] for name in claimed])))
    found = []
    for name, (metric, gate, tolerance) in names.items():
        one, examples = better[name], len(base[name][0])
        span = metric.bounds[1] - metric.bounds[0]
        if metric.of_sizes:  # its errors are not normal; nothing is gated on it
            lower, upper = one.low, one.high
        else:
            lower, upper = lower_bound(one), upper_bound(one)
        lower, upper = max(-span, lower), min(span, upper)
        status, verdict = status_of(lower, upper, tolerance), gate_of(lower, upper, gate, tolerance)
        if gate == "improved" and verdict == "passed" and p_gate[name] > ALPHA:
            status, verdict = "undecided", "undecided"  # certain alone, not among so many
        total = needed(one, examples, gate, tolerance, len(claimed)) if verdict == "undecided" else None
        raw = (lower, upper) if metric.higher_is_better else (-upper, -lower)
        before, after = (Score(*interval(runs[name], metric), len(runs[name])) for runs in (base, tuned))
        plain = paired[name]
        found.append(
            CheckRecord(
                check=name, metric=metric.name, higher_is_better=metric.higher_is_better, examples=examples,
                base=before, tuned=after, difference=plain.difference, low=plain.low, high=plain.high,
                p_value=plain.p_value, lower=raw[0], upper=raw[1], tolerance=tolerance, status=status, gate=gate,
                verdict=verdict, p_gate=p_gate.get(name), examples_needed=total,
                more_examples=None if total is None else max(1, total - examples),
            )
        )  # fmt: skip
    return found
