"""The verdict: which method to use, in one sentence with its numbers. A pure function of the table's rows."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

from headstart.core.comparison import Row, Stop, Verdict
from headstart.evaluate.metrics import Metric


def verdict(
    rows: Sequence[Row],
    metric: Metric,
    *,
    test_size: int,
    alpha: float = 0.05,
    margin: float | None = None,
    frozen: Collection[str] = ("probe", "centroid", "mahalanobis", "mix"),
    trivial: Collection[str] = ("majority",),
) -> Verdict:
    """The cheapest method that is not significantly worse than the best.

    The best on validation among the methods that are not controls is the reference. A row is significantly worse
    where its whole interval lies on the worse side, or `p_adjusted` <= alpha does: a correction for many comparisons
    guards against gains that are none, and would let losses pass the easier the more methods ran. Rows never tested
    against the reference are left out. Of the others, controls included, the one with the least `train_seconds` is
    chosen (of nearly equal times, the one with the smallest artifact), unless a trivial one is among them: then nothing
    was learned that this test can show.

    test_size: number of test examples, for the sentence.
    margin: how large a possible difference is worth a warning; 0.03 for metrics in percent, else a tenth of the
        reference's value.
    frozen: methods that leave the base as it is and fit a linear head on its features.
    trivial: controls that do not look at the input. Any other control does without the pretrained weights.
    """
    best = reference(rows, metric)
    if best is None:
        return Verdict(None, _nothing(rows), None, alpha)
    ok = [row for row in rows if _usable(row)]
    candidates = [row for row in ok if row is best or (_tested(row) and not worse(row, metric, alpha))]
    blind = [row for row in candidates if row.control and row.method in trivial]
    chosen = _cheapest(blind or candidates, best)

    if chosen is best:
        trying = [row for row in ok if not (row.control and row.method in trivial)]
        why = _why_best(best, trying, metric, not any(row.stopped for row in rows))
    else:
        why = _why_cheaper(chosen, best, metric, alpha) + _undecided(chosen, best, metric, margin, test_size)
    alone = len(rows) == 1  # nothing was compared that the frozen base could be enough beside
    sentence = f"{_opening(chosen, metric, () if alone else frozen, bool(blind))}, {why}.{_raced(rows, metric)}"
    return Verdict(chosen.method, sentence, best.method, alpha)


def reference(rows: Sequence[Row], metric: Metric) -> Row | None:
    """The best on validation of the rows that ran and are not controls (of the controls where only these ran).

    Rows without a value on validation come last; of equals the first. None where no row ran.
    """
    ok = [row for row in rows if _usable(row)]

    def rank(row: Row) -> float:
        if row.validation_value is None or math.isnan(row.validation_value):
            return -math.inf
        return row.validation_value if metric.higher_is_better else -row.validation_value

    return max([row for row in ok if not row.control] or ok, key=rank, default=None)


def worse(row: Row, metric: Metric, alpha: float) -> bool:
    """Whether the row is significantly worse than the reference."""
    nearest = row.difference_high if metric.higher_is_better else row.difference_low
    alone = nearest is not None and (nearest < 0 if metric.higher_is_better else nearest > 0)
    return (alone or _significant(row, alpha)) and _gain(row, metric) < 0


def _usable(row: Row) -> bool:
    return row.status == "ok" and row.value is not None and not math.isnan(row.value)


def _tested(row: Row) -> bool:
    return row.p_adjusted is not None and row.difference is not None


def _significant(row: Row, alpha: float) -> bool:
    return row.p_adjusted is not None and row.p_adjusted <= alpha


def _gain(row: Row, metric: Metric) -> float:
    """The difference from the reference, positive where this row is better."""
    return (row.difference or 0.0) * (1 if metric.higher_is_better else -1)


def _cheapest(rows: Sequence[Row], best: Row) -> Row:
    """The least training time; of those that a busy machine could swap (a quarter, a second), the smallest artifact."""
    least = min(_cost(row, best)[0] for row in rows)
    near = [row for row in rows if _cost(row, best)[0] <= max(1.25 * least, least + 1.0)]
    return min(near, key=lambda row: (_size(row), _cost(row, best)))


def _size(row: Row) -> float:
    """Bytes: a head that keeps its examples trains nothing, and is not small."""
    if row.artifact_bytes is not None:
        return row.artifact_bytes
    return math.inf if row.trained_parameters is None else 4 * row.trained_parameters


def _cost(row: Row, best: Row) -> tuple[float, bool]:
    """Order of preference: seconds of training (unknown ones last), of equals the reference."""
    return (math.inf if row.train_seconds is None else row.train_seconds, row is not best)


def _nothing(rows: Sequence[Row]) -> str:
    if not rows:
        return "No verdict: no method was run."
    return "No verdict: no method ran to the end (" + "; ".join(f"{r.method}: {r.status}" for r in rows) + ")."


def _opening(row: Row, metric: Metric, frozen: Collection[str], blind: bool) -> str:
    value = _value(row, metric)
    if blind:
        return f"Nothing was learned: {row.method} does not look at the input and reaches {value}"
    if row.control:
        return f"The pretrained model brings no measurable gain: {row.method} does without it and reaches {value}"
    if row.method.partition("@")[0] in frozen:
        return f"The frozen base with a linear head is enough: use {row.method}, {value}"
    return f"Use {row.method}: {value}"


def _raced(rows: Sequence[Row], metric: Metric) -> str:
    """Whom a race has stopped: they were not looked at on the test split, and some not shown to be worse."""
    late = {row.method: row.stopped for row in rows if row.stopped and row.stopped.reason == "time"}
    other = [row.method for row in rows if row.stopped and row.stopped.reason != "time"]
    behind = [name for name, stop in late.items() if clearly_behind(stop, metric)]
    said = []
    if other:
        said.append(f"The race stopped {', '.join(other)} behind on validation.")
    if near := [name for name in late if name not in behind]:
        they = "they were" if len(near) > 1 else "it was"
        said.append(f"For {', '.join(near)} time ran out; {they} not shown to be worse.")
    if behind:
        said.append(f"For {', '.join(behind)} time ran out early, while behind.")
    return "".join(f" {each}" for each in said)


def clearly_behind(stop: Stop, metric: Metric) -> bool:
    """Whether the whole interval of the difference from the leader lay on the worse side when it was stopped."""
    end = stop.high if metric.higher_is_better else stop.low
    return end is not None and (end < 0 if metric.higher_is_better else end > 0)


def _why_best(best: Row, ok: Sequence[Row], metric: Metric, alone: bool) -> str:
    """What speaks for the reference itself: the best of the cheaper methods is significantly worse."""
    others = [row for row in ok if row is not best]
    if not others:
        return f"the only method that ran{'' if alone else ' to the end'}" + _seconds_of(best)
    cheaper = [row for row in others if _cost(row, best) < _cost(best, best) and _tested(row)]
    if not cheaper:
        return "the best on validation and none is cheaper" + _seconds_of(best)
    near = max(cheaper, key=lambda row: _gain(row, metric))
    nearest = f"of the cheaper methods {near.method} comes nearest, at {_difference(near, metric)}"
    return f"the best on validation{_seconds_of(best)}; {nearest}"


def _why_cheaper(chosen: Row, best: Row, metric: Metric, alpha: float) -> str:
    found = "not significantly worse than"
    if _significant(chosen, alpha):
        found = "significantly better on test than"
    return (
        f"{found} {best.method} (best on validation; {_difference(chosen, metric)})"
        f"{_seconds_of(chosen)}{_instead(chosen, best)}"
    )


def _undecided(chosen: Row, best: Row, metric: Metric, margin: float | None, test_size: int) -> str:
    ends = [abs(end) for end in (chosen.difference_low, chosen.difference_high) if end is not None]
    if margin is None:
        margin = 0.03 if metric.percent else abs(best.value or 0.0) / 10
    if not ends or not max(ends) > margin:
        return ""
    return f"; on {test_size} test examples a difference of up to {amount(max(ends), metric)} can't be ruled out"


def _number(value: float, metric: Metric, sign: str = "") -> str:
    if metric.percent:
        return format(100 * value, f"{sign}.1f")
    return format(value, f"{sign}#.3g" if abs(value) < 100 else f"{sign},.0f")


def amount(value: float, metric: Metric) -> str:
    return f"{_number(value, metric)} points" if metric.percent else f"{_number(value, metric)} in {_name(metric)}"


def _name(metric: Metric) -> str:
    return {"macro_f1": "macro-F1", "micro_f1": "micro-F1", "rmse": "RMSE", "mae": "MAE", "r2": "R²"}.get(
        metric.name, metric.name.replace("_", " ")
    )


def bounds(low: float | None, high: float | None, metric: Metric, sign: str = "") -> str:
    if low is None or high is None or math.isnan(low) or math.isnan(high):
        return ""
    return f" [{_number(low, metric, sign)}, {_number(high, metric, sign)}]"


def _value(row: Row, metric: Metric) -> str:
    number = _number(row.value or 0.0, metric)
    reading = f"{number} % {_name(metric)}" if metric.percent else f"{_name(metric)} {number}"
    return reading + bounds(row.low, row.high, metric)


def _difference(row: Row, metric: Metric) -> str:
    points = " points" if metric.percent else ""
    number = _number(row.difference or 0.0, metric, "+") + points
    return number + bounds(row.difference_low, row.difference_high, metric, "+") + f", {_p(row.p_adjusted)}"


def _p(p: float | None) -> str:
    if p is None:
        return "p unknown"
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"


def _seconds(seconds: float) -> str:
    if seconds < 10:
        return f"{seconds:.2g} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _seconds_of(row: Row) -> str:
    return "" if row.train_seconds is None else f", for {_seconds(row.train_seconds)} of training"


def _instead(chosen: Row, best: Row) -> str:
    if chosen.train_seconds is None or best.train_seconds is None:
        return ""
    other = _seconds(best.train_seconds)
    less = chosen.train_seconds < best.train_seconds and other != _seconds(chosen.train_seconds)
    return f" instead of {other}" if less else ""
