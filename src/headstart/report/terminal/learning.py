"""Learning curves as terminal text."""

from __future__ import annotations

from headstart.core.records.curve import FEWEST, LearningCurve, Reading
from headstart.report import format as fmt
from headstart.report.terminal.columns import aligned


def table(found: LearningCurve) -> str:
    """One line per size and one column per method; then the forecast for more data."""
    methods = list(dict.fromkeys(one.method for one in found.readings))
    head = ("labels a class", "examples", *methods)
    rows = [head]
    for size in found.sizes:
        here = {one.method: one for one in found.readings if one.size == size}
        cells = [_value(found.metric, here[name]) for name in methods]
        rows.append((str(size), str(next(iter(here.values())).examples), *cells))
    lines = [fmt.metric_heading(found.metric), *aligned(rows, left=())]
    if found.laws:
        lines += ["", "By a power law through these, error = limit + a n^-b:", *aligned(_laws(found))]
    elif len(found.sizes) < FEWEST:
        lines += [
            "",
            f"A power law and its forecasts need {FEWEST} sizes; there are {len(found.sizes)}.",
        ]
    return "\n".join(lines)


def _value(metric: str, one: Reading) -> str:
    return f"{fmt.value(metric, one.value)} {fmt.interval(metric, one.low, one.high)}".rstrip()


def _laws(found: LearningCurve) -> list[tuple[str, ...]]:
    first = found.laws[0]
    head = (
        "method",
        *(f"with {fmt.count(one.examples)}" for one in first.forecasts),
        *(f"{fmt.value(found.metric, one.value)} takes" for one in first.reach),
    )
    rows: list[tuple[str, ...]] = [head]
    for law in found.laws:
        values = [
            f"{fmt.value(found.metric, one.value)} {fmt.interval(found.metric, one.low, one.high)}"
            for one in law.forecasts
        ]
        reach = [_examples(one.examples, one.low, one.high) for one in law.reach]
        rows.append((law.method, *values, *reach))
    return rows


def _examples(number: float | None, low: float | None, high: float | None) -> str:
    if number is None:
        return "out of reach" if low is None else f"{fmt.count(low)} at least, perhaps never"
    return f"{fmt.count(number)} [{fmt.count(low)}, {fmt.count(high) if high is not None else 'never'}]"
