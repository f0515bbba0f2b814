"""Sentences of the verdict: the best, the cheapest, tuning, guessing, parts, stopped methods."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence

from headstart.comparison.verdict import wording
from headstart.comparison.verdict.claims import (
    Candidate,
    difference_of,
    gain,
    gap,
    shown,
    sign,
    trained,
    worse,
    worse_parts,
)
from headstart.core.records.comparison import Gain, PartRow, Row
from headstart.stats.metrics import METRICS, Metric, of_any_kind
from headstart.stats.non_inferiority import examples_needed
from headstart.stats.paired import holm

WORDS = {
    "training": ("Cheapest", "cheaper"),
    "latency": ("Fastest", "faster"),
    "size": ("Smallest", "smaller"),
}


def lines(
    rows: Sequence[Row], best: Row, cheaper: Sequence[Candidate], cheapest: Candidate | None, metric: Metric,
    margin: float, alpha: float, prefer: str, test_size: int, frozen: Collection[str], trivial: Collection[str],
) -> tuple[str, ...]:  # fmt: skip
    """The lines of the verdict, of one or two sentences, the most important first."""
    several = sum(trained(row) and not row.control for row in rows) > 1
    return (
        *_guessing(best, metric, alpha, test_size),
        _best(best, rows, metric),
        *(_cheapest(cheaper, cheapest, metric, margin, prefer) if several else ()),
        *(_preferred(best, cheaper, cheapest, metric, margin, prefer) if several and prefer != "quality" else ()),
        *_better(best, rows, metric, alpha),
        *_tuning(best, rows, metric, alpha, frozen),
        *_shortened(rows),
        *_controls(best, rows, metric, alpha, trivial),
        *_parts(best, rows, metric, margin, alpha),
        *_stopped(rows),
    )


def _best(best: Row, rows: Sequence[Row], metric: Metric) -> str:
    told = f"{best.method}, {wording.reading(best.value, best.low, best.high, metric)}"
    ran = [row for row in rows if trained(row) and (best.control or not row.control)]
    if len(ran) > 1:
        stopped = any(row.stopped and not row.control for row in rows)
        among = f" among the {len(ran)} methods that trained to their end" if stopped else ""
        return f"Best: {told} (chosen on validation{among}){wording.training(best)}."
    rest = " that trained to its end" if len(rows) > 1 else ""
    return f"The only method{rest}: {told}{wording.training(best)}. Whether another is better was not asked."


def _cheapest(
    cheaper: Sequence[Candidate], cheapest: Candidate | None, metric: Metric, margin: float, prefer: str
) -> Iterator[str]:
    """Line on the cheapest non-inferior method, or on the reason why none is shown."""
    word, kind = WORDS.get(prefer, WORDS["training"])
    loss = wording.margin(margin, metric)
    if cheapest is not None:
        row = cheapest.row
        told = wording.reading(row.value, row.low, row.high, metric)
        most = min(margin, -cheapest.claim.bound)
        cost = f"may cost up to {wording.amount(most, metric)}" if most > 0 else "shown to cost nothing"
        count = f"{len(cheaper)} {kind} method{'' if len(cheaper) == 1 else 's'}"
        yield (
            f"{word} within {loss} of it: {row.method}, {told}{wording.training(row)}; {cost} (one-sided 95 % bound, "
            f"corrected for {count})."
        )
        return
    if not cheaper:
        yield f"No method that trained to its end is {kind}."
        return
    possible = [one for one in cheaper if one.open]
    near = max(possible or cheaper, key=lambda one: gain(one.row, metric))
    if blocked := [one.row.method for one in cheaper if one.claim.shown]:
        yield f"Within {loss} of it overall, but worse on a part of the test set: {wording.listed(blocked)}."
    elif not possible:
        yield f"Every {kind} method loses more than {loss}; nearest is {near.row.method}, {_apart(near.row, metric)}."
    else:
        yield f"No {kind} method is shown to lie within {loss} of it; {_settled(possible, near, metric)}."


def _settled(possible: Sequence[Candidate], near: Candidate, metric: Metric) -> str:
    """Number of test examples that would show one of the candidates to be non-inferior."""
    if known := [one for one in possible if one.examples_needed]:
        one = min(known, key=lambda one: one.examples_needed or 0)
        count = wording.about(one.examples_needed or 0)
        return (
            f"about {count} test examples would show it of {one.row.method}, if it stays at {_apart(one.row, metric)}"
        )
    nearest = f"nearest is {near.row.method}, {_apart(near.row, metric)}"
    if near.if_as_good is None:
        return f"{nearest}, whose seeds differ too much for any number of test examples: more --seeds would show it"
    return f"{nearest}; about {wording.about(near.if_as_good)} test examples would show it of one that is truly as good"


def _apart(row: Row, metric: Metric) -> str:
    return wording.difference(row.difference, row.difference_low, row.difference_high, metric)


def _preferred(
    best: Row, cheaper: Sequence[Candidate], cheapest: Candidate | None, metric: Metric, margin: float, prefer: str
) -> Iterator[str]:
    if cheapest is not None:
        yield f"To use, as {prefer} is preferred: {cheapest.row.method}."
    elif cheaper:
        yield f"To use: {best.method}, since no other is shown to lose less than {wording.margin(margin, metric)}."
    else:
        yield f"To use: {best.method}."


def _better(best: Row, rows: Sequence[Row], metric: Metric, alpha: float) -> Iterator[str]:
    ahead = [
        row for row in rows
        if trained(row) and not row.control and row is not best and gain(row, metric) > 0
        and row.p_adjusted is not None and row.p_adjusted <= alpha
    ]  # fmt: skip
    if ahead:
        top = max(ahead, key=lambda row: gain(row, metric))
        yield f"On test {top.method} is better than {best.method}, which validation chose: {_apart(top, metric)}."


def _tuning(best: Row, rows: Sequence[Row], metric: Metric, alpha: float, frozen: Collection[str]) -> Iterator[str]:
    """Line on the best tuned against the best frozen method, both chosen on validation; one is the reference."""
    candidates = [row for row in rows if trained(row) and not row.control and row.validation_value is not None]
    is_frozen = best.method.partition("@")[0] in frozen
    others = [row for row in candidates if (row.method.partition("@")[0] in frozen) != is_frozen]
    if not others or best.control:
        return
    other = max(others, key=lambda row: sign(metric) * (row.validation_value or 0.0))
    if other.difference is None:
        return
    told, (tuned, base) = shown(other, alpha, metric), ((other, best) if is_frozen else (best, other))
    value, ends = other.difference, (other.difference_low, other.difference_high)
    if not is_frozen:  # the row has the difference frozen minus tuned
        told, value = -told, -value
        ends = (None if ends[1] is None else -ends[1], None if ends[0] is None else -ends[0])
    apart = f"{tuned.method} against {base.method} {wording.difference(value, *ends, metric)}"
    what = f"After {tuned.shortened.length}, tuning" if tuned.shortened else "Tuning"
    yield {
        1: f"{what} is better than the frozen base: {apart}.",
        0: f"{what} is not shown to be better than the frozen base: {apart}.",
        -1: f"{what} is worse than the frozen base: {apart}.",
    }[told]


def _shortened(rows: Sequence[Row]) -> Iterator[str]:
    """Line on budgets that are too short for the order of the methods to hold for whole trainings."""
    short = [row for row in rows if trained(row) and row.shortened]
    if short and short[0].shortened:  # all methods that a race does not stop have the same length
        names = wording.listed([row.method for row in short], most=12)
        yield (
            f"The budget gave {names} {short[0].shortened.length}; a longer training may change their values and "
            "their order."
        )


def _controls(
    best: Row, rows: Sequence[Row], metric: Metric, alpha: float, trivial: Collection[str]
) -> Iterator[str]:  # fmt: skip
    """Line on the best control without the pretrained weights, or on all that are not shown to be worse."""
    controls = [
        row for row in rows
        if trained(row) and row.control and row.method not in trivial and row.p_adjusted is not None
    ]  # fmt: skip
    near = [row for row in controls if not worse(row, metric, alpha)]
    for row in near:
        yield f"The pretrained weights are not shown to help: {row.method}, without them, {_apart(row, metric)}."
    if controls and not near and not best.control:
        row = max(controls, key=lambda row: gain(row, metric))
        if shown(row, alpha, metric) < 0:
            yield f"The pretrained weights help: {row.method}, without them, {_apart(row, metric)}."


def _guessing(best: Row, metric: Metric, alpha: float, test_size: int) -> Iterator[str]:
    """Line if the metric shows no gain over a constant prediction, or can't show one."""
    if not best.gains or best.control or not _known(best.gains[0]):
        return
    first = best.gains[0]
    by = _metric(first.metric, metric)
    if first.shown(by.higher_is_better, alpha):
        return
    what = "the most frequent class"
    if metric.name in METRICS["regression"]:
        what = "the mean"
    elif best.classes and not best.confusion:  # for multi-label tasks
        what = "the same labels for all examples"
    others = [(one, _metric(one.metric, metric)) for one in best.gains[1:]]
    seen = next((one for one in others if one[0].shown(one[1].higher_is_better, alpha / len(others))), None)
    perfect = by.bounds[1] if by.higher_is_better else by.bounds[0]
    guessed = wording.reading(first.guess, None, None, by)
    if seen is not None:
        other, better = seen
        yield (
            f"By {wording.name(by)} {best.method} is not shown to beat {what} ({guessed}), but that metric can't "
            f"tell here: by {wording.name(better)} it does, {_over(other, better)}. Rank by that: --metric "
            f"{better.name}."
        )
    elif first.guess is not None and abs(first.guess - perfect) < 1e-6:
        yield f"{wording.name(by)} can't tell whether anything was learned: a constant answer reaches {guessed}."
    else:
        test = None if first.standard_error is None else difference_of(first, by)
        needed = None if test is None else examples_needed(test, test_size, 0.0, alpha=alpha)
        more = f"; about {wording.about(needed)} would show it, if that stays" if needed else ""
        count = f"{test_size:,} test example{'' if test_size == 1 else 's'}"
        yield f"Not shown to beat {what}: {best.method}, {_over(first, by)} on {count}{more}."


def _known(one: Gain | None) -> bool:
    """True if the metric is defined on these examples."""
    return one is not None and one.difference is not None and math.isfinite(one.difference)


def _metric(name: str, main: Metric) -> Metric:
    """The metric that ranks, or another of this name."""
    return main if name == main.name else of_any_kind(name)


def _over(one: Gain, metric: Metric) -> str:
    value = None if one.guess is None or one.difference is None else one.guess + one.difference
    apart = wording.difference(one.difference, one.low, one.high, metric)
    return f"{wording.reading(value, None, None, metric)}, {apart} against {wording.number(one.guess or 0.0, metric)}"


def _parts(best: Row, rows: Sequence[Row], metric: Metric, margin: float, alpha: float) -> Iterator[str]:
    """Lines on the worst part and its gap, parts at chance, and methods that are worse on a part than overall."""
    parts = [part for part in best.parts if part.value is not None and math.isfinite(part.value)]
    if len(parts) > 1:
        yield from _gaps(best, parts, metric)
        yield from _chance(parts, metric, alpha)
    lost = {row.method: worse_parts(row, metric, margin, alpha) for row in rows if trained(row) and not row.control}
    if told := [f"{name} on {wording.listed(names)}" for name, names in lost.items() if names]:
        yield f"Worse than {best.method} on a part: {wording.listed(told)}."


def _gaps(best: Row, parts: Sequence[PartRow], metric: Metric) -> Iterator[str]:
    """Line on the worst part and its gap to the best one."""

    def order(part: PartRow) -> float:
        return sign(metric) * (part.value or 0.0)

    worst, top = min(parts, key=order), max(parts, key=order)
    value = wording.reading(worst.value, worst.low, worst.high, metric)
    apart = f"{wording.difference(*gap(worst, top), metric)} against {top.name} ({_plain(top, metric)})"
    yield f"By part, {best.method} is worst on {worst.name}: {value}, {apart}."


def _chance(parts: Sequence[PartRow], metric: Metric, alpha: float) -> Iterator[str]:
    """Line on parts without and with proven learning."""
    judged = [(part, part.gain) for part in parts if part.gain is not None and _known(part.gain)]
    adjusted = holm([1.0 if gain.p_value is None else gain.p_value for _, gain in judged])
    above = [
        p <= alpha and (gain.difference or 0.0) * sign(_metric(gain.metric, metric)) > 0
        for (_, gain), p in zip(judged, adjusted)
    ]
    learned, chance = (
        wording.listed([f"{part.name} ({_plain(part, metric)})" for (part, _), is_above in zip(judged, above)
                        if is_above == wanted]) for wanted in (True, False)
    )  # fmt: skip
    if chance and learned:
        yield f"At chance, not shown to beat a constant answer, on {chance}; learned on {learned}."
    elif chance:
        yield "At chance, not shown to beat a constant answer, on every part."


def _plain(part: PartRow, metric: Metric) -> str:
    return wording.number(part.value or 0.0, metric)


def _stopped(rows: Sequence[Row]) -> Iterator[str]:
    """Line on methods that a race stopped, whose rows have values of shorter trainings."""
    cut = [row for row in rows if row.stopped is not None and row.status != "ok" and not row.status.startswith("div")]
    if not cut:
        return
    names = wording.listed([f"{row.method} after {row.stopped.length}" for row in cut if row.stopped], most=12)
    value = ("their values are" if len(cut) > 1 else "its value is") + " of that"
    candidate = "none is a candidate" if len(cut) > 1 else "it is no candidate"
    told = [value] if any(row.value is not None for row in cut) else []
    yield f"Stopped early by the race: {names}; {', and '.join([*told, candidate])}."
