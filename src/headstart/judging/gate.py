"""Gates: decisions about a release by paired differences (non-inferiority and superiority).

For a difference d, where more is better, l and u are the one-sided 95 % bounds (`non_inferiority`): d lies above l with
this confidence, and below u with the same. With the tolerance t of a check, its gate

- **not_regressed** (non-inferiority) passes if l > -t, fails if u < -t, else is undecided;
- **improved** passes if l > 0, fails if u <= 0, else is undecided.

A guard fails if a loss *beyond the tolerance* is shown. A certain loss (u < 0) that may be within the tolerance is no
failure, because the tolerance allows it; the gate passes only if l > -t.

If several checks of a model have to improve, Holm's correction decides over l > 0, because these are claims of gains.
Guards are not corrected, because all of them have to pass: the chance that a loss beyond the tolerance passes is at
most 5 % for each, and so for all together (`tests/judging/test_gate.py` simulates both).
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
    """The result that the bounds of a difference show; more is better."""
    if lower > 0:
        return "improved"
    if upper < -tolerance:
        return "regressed"
    within = lower > -tolerance
    if upper < 0:
        return "worse, tolerated" if within else "worse"
    return "not worse" if within else "undecided"


def gate_of(lower: float, upper: float, gate: Gate, tolerance: float) -> Verdict:
    """Verdict of a gate by the bounds; the caller applies Holm's correction."""
    if gate == "none":
        return "none"
    bar = 0.0 if gate == "improved" else -tolerance
    if lower > bar:
        return "passed"
    return "failed" if upper < bar or (gate == "improved" and upper == 0) else "undecided"


def together(verdicts: Iterable[str]) -> Verdict:
    """Overall verdict: failed if one failed, else undecided if one is undecided, else passed."""
    found = set(verdicts)
    return "failed" if "failed" in found else "undecided" if "undecided" in found else "passed"


def needed(found: Paired, examples: int, gate: Gate, tolerance: float, claims: int = 1) -> int | None:
    """Power analysis: total number of examples that would decide with 80 % power, if the difference stays the same.

    found: difference where more is better. claims: number of simultaneous claims of gains. None if no number would
    decide, because the difference lies on the bar or the seeds differ too much.
    """
    bar = 0.0 if gate == "improved" else -tolerance
    if found.difference > bar:
        return examples_needed(found, examples, -bar, claims=claims if gate == "improved" else 1)
    return examples_needed(oriented(found, False), examples, bar)


def checked(
    names: Mapping[str, tuple[Metric, Gate, float]],
    base: Mapping[str, Sequence[Predictions]],
    tuned: Mapping[str, Sequence[Predictions]],
) -> list[CheckRecord]:
    """Results of one model against the base, in the order of `names`: metric, gate and tolerance by check."""
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
        if metric.of_sizes:  # has no gate, because its errors are not normal
            lower, upper = one.low, one.high
        else:
            lower, upper = lower_bound(one), upper_bound(one)
        lower, upper = max(-span, lower), min(span, upper)
        status, verdict = status_of(lower, upper, tolerance), gate_of(lower, upper, gate, tolerance)
        if gate == "improved" and verdict == "passed" and p_gate[name] > ALPHA:
            status, verdict = "undecided", "undecided"  # certain alone, but not after correction
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
