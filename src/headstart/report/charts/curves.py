"""Training curves of one method: the geometry of small line charts."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from headstart.core.records.comparison import Row
from headstart.report import format as fmt
from headstart.report.charts.axis import Tick, linear
from headstart.report.charts.placement import Box

Pair = tuple[float, float]


@dataclass(frozen=True)
class Line:
    path: str
    dots: list[Pair]
    style: str
    "`s0` … `s5`, one per seed; `train` or `validation` for the losses"
    tooltip: str
    best: Pair | None = None
    "the best reading, whose weights were kept"


@dataclass(frozen=True)
class Lines:
    title: str
    x_title: str
    width: float
    height: float
    frame: Box
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    lines: list[Line]
    legend: list[tuple[str, str]]
    "style, words"


@dataclass(frozen=True)
class Series:
    points: list[Pair]
    style: str
    words: str
    seed: int
    kept: float | None = None
    "x of the reading whose weights were kept"


def validation_curves(row: Row, metric: str) -> Lines | None:
    """Validation value by epoch, one line per seed, with a ring on the best epoch; None without two readings."""
    series = [
        Series(_finite((point.epoch, point.validation_value) for point in run.curve), f"s{i % 6}", f"seed {run.seed}",
               run.seed, run.best_epoch)
        for i, run in enumerate(row.seeds)
    ]  # fmt: skip
    return _chart(f"{fmt.metric_heading(metric)}, validation", "epoch", series, lambda v: _tick(metric, v))


def loss_curves(row: Row) -> Lines | None:
    """Training and validation loss by epoch, two lines per seed."""
    series = []
    for run in row.seeds:
        train = _finite((point.epoch, point.train_loss) for point in run.curve)
        validation = _finite((point.epoch, point.validation_loss) for point in run.curve)
        series.append(Series(train, "train", "training", run.seed))
        series.append(Series(validation, "validation", "validation", run.seed))
    return _chart("Loss", "epoch", series, lambda v: f"{v:.4g}")


def interpolation_curves(row: Row, metric: str) -> Lines | None:
    """Validation value between the start and the tuned weights, one line per seed, with a ring on the chosen share."""
    series = []
    for i, run in enumerate(row.seeds):
        points = _finite((share.share, share.validation_value) for share in run.interpolation)
        best = [share for share in run.interpolation if share.validation_value == run.validation_value]
        kept = min(best, key=lambda share: (share.validation_loss or 0.0, share.share)).share if best else None
        series.append(Series(points, f"s{i % 6}", f"seed {run.seed}", run.seed, kept))
    title = f"{fmt.metric_heading(metric)} between start (0) and tuned weights (1), validation"
    return _chart(title, "share of the tuned weights", series, lambda v: _tick(metric, v))


def _finite(pairs: Iterable[tuple[float, float | None]]) -> list[Pair]:
    """Points of a line without missing readings, because train and validation are measured at different steps."""
    return [(x, number) for x, y in pairs if (number := fmt.finite(y)) is not None]


def _chart(title: str, x_title: str, series: list[Series], label: Callable[[float], str]) -> Lines | None:
    width, height = 440.0, 240.0
    frame = Box(44, 10, width - 10, height - 38)
    every = [pair for each in series for pair in each.points]
    if len(every) < 2:
        return None
    x = linear((at for at, _ in every), frame.left, frame.right, 0.03)
    y = linear((number for _, number in every), frame.bottom, frame.top)
    lines, legend = [], dict[str, str]()
    for each in series:
        if not each.points:
            continue
        legend[each.style] = each.words
        dots = [(x(at), y(number)) for at, number in each.points]
        path = "M" + "L".join(f"{across:.1f} {up:.1f}" for across, up in dots)
        at, last = each.points[-1]
        words = each.words if each.words.startswith("seed") else f"seed {each.seed}, {each.words}"
        best = next((dot for dot, (at_, _) in zip(dots, each.points) if at_ == each.kept), None)
        lines.append(Line(path, dots, each.style, f"{words}: {label(last)} at {x_title} {at:g}", best))
    return Lines(title, x_title, width, height, frame, x.ticks(lambda v: f"{v:g}", 8), y.ticks(label, 5), lines,
                 list(legend.items()))  # fmt: skip


def _tick(metric: str, number: float) -> str:
    return f"{100 * number:.4g}" if fmt.is_percent(metric) else f"{number:.4g}"
