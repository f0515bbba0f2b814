"""Training curves of one method: the geometry of two small line charts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from headstart.core.comparison import Point, Row, SeedRun
from headstart.report import format as fmt
from headstart.report.axis import Axis, Tick, linear
from headstart.report.placement import Box

Reading = Callable[[Point], float | None]


@dataclass(frozen=True)
class Line:
    path: str
    dots: list[tuple[float, float]]
    style: str
    "`s0` … `s5`: one a seed; `train` or `validation` for the losses"
    tooltip: str
    best: tuple[float, float] | None = None
    "the epoch that was kept"


@dataclass(frozen=True)
class Lines:
    title: str
    width: float
    height: float
    frame: Box
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    lines: list[Line]
    legend: list[tuple[str, str]]
    "style, words"


def validation_curves(row: Row, metric: str) -> Lines | None:
    """Validation value by epoch, a line a seed, with a ring on the epoch kept; None without two readings."""
    series = [
        (run, lambda point: point.validation_value, f"s{i % 6}", f"seed {run.seed}") for i, run in enumerate(row.seeds)
    ]
    return _chart(f"{fmt.metric_heading(metric)}, validation", series, lambda v: _tick(metric, v), ring=True)


def loss_curves(row: Row) -> Lines | None:
    """Training and validation loss by epoch, a line each a seed."""
    series: list[tuple[SeedRun, Reading, str, str]] = []
    for run in row.seeds:
        series.append((run, lambda point: point.train_loss, "train", "training"))
        series.append((run, lambda point: point.validation_loss, "validation", "validation"))
    return _chart("Loss", series, lambda v: f"{v:.4g}", ring=False)


def _chart(
    title: str, series: list[tuple[SeedRun, Reading, str, str]], label: Callable[[float], str], ring: bool
) -> Lines | None:
    width, height = 440.0, 240.0
    frame = Box(44, 10, width - 10, height - 38)
    readings = [
        [(point.epoch, number) for point in run.curve if (number := fmt.finite(read(point))) is not None]
        for run, read, _, _ in series
    ]
    every = [pair for found in readings for pair in found]
    if len(every) < 2:
        return None
    x = linear((epoch for epoch, _ in every), frame.left, frame.right, 0.03)
    y = linear((number for _, number in every), frame.bottom, frame.top)
    lines, legend = [], dict[str, str]()
    for (run, read, style, words), found in zip(series, readings):
        if not found:
            continue
        legend[style] = words
        last = found[-1]
        tooltip = f"seed {run.seed}, {words}: {label(last[1])} at epoch {last[0]:g}" if words[:4] != "seed" else (
            f"{words}: {label(last[1])} at epoch {last[0]:g}"
        )  # fmt: skip
        best = next(((x(e), y(v)) for e, v in found if ring and e == run.best_epoch), None)
        lines.append(Line(_path(run, read, x, y), [(x(e), y(v)) for e, v in found], style, tooltip, best))
    return Lines(title, width, height, frame, x.ticks(lambda v: f"{v:g}", 8), y.ticks(label, 5), lines,
                 list(legend.items()))  # fmt: skip


def _path(run: SeedRun, read: Reading, x: Axis, y: Axis) -> str:
    """A missing reading is bridged: train and validation are often not read at the same steps."""
    kept = [(point.epoch, fmt.finite(read(point))) for point in run.curve]
    path, pen = "", "M"
    for epoch, number in kept:
        if number is None:
            continue
        path += f"{pen}{x(epoch):.1f} {y(number):.1f}"
        pen = "L"
    return path


def _tick(metric: str, number: float) -> str:
    return f"{100 * number:.4g}" if fmt.is_percent(metric) else f"{number:.4g}"
