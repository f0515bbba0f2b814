"""Evaluations of a run over time: a line per model and test set, with intervals and the verdicts of gates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from headstart.core.records.evaluation import CheckRecord, Evaluation
from headstart.report import format as fmt
from headstart.report.charts.axis import linear
from headstart.report.charts.curves import Line, Lines
from headstart.report.charts.placement import Box

SHOWN = ("target", "test")
"kinds of checks in the trend"
History = Sequence[tuple[int, Evaluation]]


@dataclass(frozen=True)
class Moment:
    """Value of one evaluation for one model and test set."""

    number: int
    started: str
    series: str
    record: CheckRecord
    against: str


def moments(history: History) -> list[Moment]:
    """All checks of the target's classes, the earliest first."""
    return [
        Moment(
            number,
            found.environment.started[:16].replace("T", " "),
            f"{one.name}: {record.check}",
            record,
            found.against,
        )
        for number, found in history
        for one in found.models
        for record in one.checks
        if record.kind in SHOWN
    ]


def started(found: Evaluation) -> str:
    return found.environment.started[:16].replace("T", " ")


def charts(history: History) -> list[Lines]:
    """One chart per metric with at least two values: value by evaluation, with intervals as whiskers."""
    found = moments(history)
    metrics = dict.fromkeys(moment.record.metric for moment in found)
    drawn = [_chart(metric, [moment for moment in found if moment.record.metric == metric]) for metric in metrics]
    return [chart for chart in drawn if chart is not None]


def _chart(metric: str, found: Sequence[Moment]) -> Lines | None:
    if len({moment.number for moment in found}) < 2:
        return None
    width, height = 440.0, 240.0
    frame = Box(44, 10, width - 10, height - 38)
    scores = [moment.record.tuned for moment in found]
    x = linear((float(moment.number) for moment in found), frame.left, frame.right, 0.08)
    y = linear((end for score in scores for end in (score.low, score.high)), frame.bottom, frame.top)
    lines, legend = [], []
    for place, name in enumerate(dict.fromkeys(moment.series for moment in found)):
        mine, style = [moment for moment in found if moment.series == name], f"s{place % 6}"
        dots = [(x(moment.number), y(moment.record.tuned.value)) for moment in mine]
        path = "M" + "L".join(f"{across:.1f} {up:.1f}" for across, up in dots)
        for moment, (across, _) in zip(mine, dots):
            path += f"M{across:.1f} {y(moment.record.tuned.low):.1f}V{y(moment.record.tuned.high):.1f}"
        last = mine[-1].record.tuned
        caption = f"{name}: {fmt.value(metric, last.value)} {fmt.interval(metric, last.low, last.high)}"
        lines.append(Line(path, dots, style, f"{caption}, evaluation {mine[-1].number}"))
        legend.append((style, name))
    return Lines(
        f"{fmt.metric_heading(metric)}, with 95 % intervals", "evaluation", width, height, frame,
        [tick for tick in x.ticks(lambda v: f"{v:g}", 8) if float(tick.label).is_integer()],
        y.ticks(lambda v: f"{100 * v:.4g}" if fmt.is_percent(metric) else f"{v:.4g}", 5), lines, legend,
    )  # fmt: skip
