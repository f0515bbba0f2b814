"""Quality against cost (Pareto chart): the geometry of the page's main chart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from headstart.core.records.comparison import Comparison
from headstart.report import format as fmt
from headstart.report.charts.axis import Tick, linear, logarithmic
from headstart.report.charts.placement import Box, Label, place
from headstart.report.ranking import ranked


class Point(Protocol):
    """A point: a row of a comparison or a model of an evaluation. The cost axis names the field that holds its cost."""

    @property
    def method(self) -> str: ...

    @property
    def value(self) -> float | None: ...

    @property
    def low(self) -> float | None: ...

    @property
    def high(self) -> float | None: ...

    @property
    def control(self) -> bool: ...


@dataclass(frozen=True)
class Cost:
    field: str
    "field of the row"
    name: str
    "short name, for the switch"
    title: str
    "title of the axis"
    show: Callable[[float | None], str]
    time: bool = False


COSTS = (
    Cost("train_seconds", "training time", "Training time at the chosen configuration", fmt.seconds, time=True),
    Cost("trained_parameters", "trained parameters", "Trained parameters", fmt.count),
    Cost("latency_seconds", "latency", "Latency of one example", fmt.seconds, time=True),
    Cost("artifact_bytes", "artifact size", "Size of the artifact to ship", fmt.size),
)


@dataclass(frozen=True)
class Mark:
    row: Point
    x: float
    y: float
    low: float | None
    high: float | None
    kind: str
    "`chosen`, `control` or `method`"
    outside: bool
    "True if the value lies below the axis; it is drawn at its end"
    tooltip: str
    label: Label


@dataclass(frozen=True)
class Scatter:
    cost: Cost
    width: float
    height: float
    frame: Box
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    marks: list[Mark]
    frontier: str
    "path of the Pareto front: methods that no other beats in both quality and cost"
    zero: float | None
    "place of cost 0, left of the logarithmic axis"
    missing: list[str]
    "methods with a value but without this cost"


def scatter(comparison: Comparison, cost: Cost, width: float = 920, height: float = 430) -> Scatter | None:
    """The chart; None if fewer than two methods have both a value and this cost."""
    task, use = comparison.task, comparison.verdict.method
    return chart(ranked(comparison), task.metric, task.higher_is_better, cost, use, width, height)


def chart(
    points: Sequence[Point], metric: str, higher: bool, cost: Cost, use: str | None, width: float, height: float
) -> Scatter | None:
    """The points, the best first. use: name of the recommended one."""
    rows = [row for row in points if fmt.finite(row.value) is not None]
    shown = [row for row in rows if (_cost(row, cost) or 0.0) > 0 or _cost(row, cost) == 0.0]
    if len(shown) < 2:
        return None
    frame = Box(52, 12, width - 14, height - 46)
    zeros = any(_cost(row, cost) == 0.0 for row in shown)
    zero = frame.left + 26 if zeros else None
    x = logarithmic((_cost(row, cost) or 0.0 for row in shown), frame.left + (52 if zeros else 0), frame.right)
    y = linear(quality_range(shown), *((frame.bottom, frame.top) if higher else (frame.top, frame.bottom)))

    places, bars, outside = [], [], []
    for row in shown:
        value, spent = row.value or 0.0, _cost(row, cost) or 0.0
        at = (x(spent) if spent > 0 else frame.left + 26, y(min(max(value, y.low), y.high)))
        outside.append(not y.low <= value <= y.high)
        places.append((at[0], at[1] - 7 if outside[-1] else at[1]))
        ends = _ends(row, y.low, y.high)
        if ends is not None and not outside[-1]:
            top, bottom = sorted((y(ends[0]), y(ends[1])))
            bars.append(Box(at[0] - 2, top, at[0] + 2, bottom))
    texts = [
        f"{short(r.method)} {fmt.value(metric, r.value)}" if out else short(r.method) for r, out in zip(shown, outside)
    ]
    labels = place(texts, places, bars, frame)
    marks = []
    for row, (px, py), out, label in zip(shown, places, outside, labels):
        ends = None if out else _ends(row, y.low, y.high)
        kind = "chosen" if row.method == use else "control" if row.control else "method"
        low, high = (y(ends[0]), y(ends[1])) if ends else (None, None)
        marks.append(Mark(row, px, py, low, high, kind, out, _tooltip(row, cost, metric), label))
    missing = [row.method for row in rows if row not in shown]
    x_ticks = x.ticks(lambda number: _cost_tick(cost, number), 5 if width < 500 else 10, cost.time)
    y_ticks = y.ticks(lambda number: _tick(metric, number), 7)
    return Scatter(cost, width, height, frame, x_ticks, y_ticks, marks, _frontier(marks, frame), zero, missing)


def _cost(row: Point, cost: Cost) -> float | None:
    return fmt.finite(getattr(row, cost.field))


def _ends(row: Point, low: float, high: float) -> tuple[float, float] | None:
    a, b = fmt.finite(row.low), fmt.finite(row.high)
    return None if a is None or b is None else (max(a, low), min(b, high))


def quality_range(rows: Sequence[Point]) -> list[float]:
    """Values and interval ends of the methods; a far-off control is omitted, because it would compress the others."""

    def reach(row: Point) -> list[float]:
        found = (fmt.finite(row.value), fmt.finite(row.low), fmt.finite(row.high))
        return [number for number in found if number is not None]

    candidates = [number for row in rows if not row.control for number in reach(row)]
    if not candidates:
        return [number for row in rows for number in reach(row)]
    room = 0.5 * (max(candidates) - min(candidates))
    near = [number for row in rows if row.control for number in reach(row)]
    near = [number for number in near if min(candidates) - room <= number <= max(candidates) + room]
    return candidates + near


def _frontier(marks: list[Mark], frame: Box) -> str:
    """The Pareto front as steps, from cheap to expensive."""
    best: list[Mark] = []
    for mark in sorted((m for m in marks if m.kind != "control" and not m.outside), key=lambda m: (m.x, m.y)):
        if not best or mark.y < best[-1].y:
            best.append(mark)
    if not best:
        return ""
    steps = "".join(f"H{mark.x:.1f}V{mark.y:.1f}" for mark in best[1:])
    return f"M{best[0].x:.1f} {best[0].y:.1f}{steps}H{frame.right:.1f}"


def _tick(metric: str, number: float) -> str:
    return f"{100 * number:.4g}" if fmt.is_percent(metric) else f"{number:.4g}"


def _cost_tick(cost: Cost, number: float) -> str:
    """`5 s` for `5.0 s`, `10M` for `10.0M`, `3m` for `3m 00s`."""
    return cost.show(number).replace(".0", "").replace("m 00s", " min").replace("h 00m", " h")


def short(text: str, most: int = 24) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _tooltip(row: Point, cost: Cost, metric: str) -> str:
    quality = f"{fmt.value(metric, row.value)} {fmt.interval(metric, row.low, row.high)}".rstrip()
    return f"{row.method}: {fmt.metric_heading(metric)} {quality}; {cost.name} {cost.show(_cost(row, cost))}"
