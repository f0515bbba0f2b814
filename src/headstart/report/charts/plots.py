"""Figures as SVG text by matplotlib, without a display; the same record gives the same bytes."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from headstart.core.records.comparison import Comparison
from headstart.core.records.curve import LearningCurve
from headstart.report import format as fmt
from headstart.report.charts.axis import linear, logarithmic
from headstart.report.charts.placement import Box, place
from headstart.report.charts.scatter import quality_range, short
from headstart.report.ranking import chosen, ranked

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ACCENT, INK, GREY = "#1d5f9e", "#33404d", "#8a949e"


def quality_against_cost(comparison: Comparison) -> str:
    """The metric with its interval against training seconds (log axis).

    Methods without both are omitted; a control far from all methods is drawn at the edge with its value.
    """
    metric = comparison.task.metric
    rows = [row for row in ranked(comparison) if fmt.finite(row.value) is not None and (row.train_seconds or 0) > 0]
    factor = 100 if fmt.is_percent(metric) else 1
    figure = _figure(7.0, 4.2)
    axes = figure.subplots()
    axes.set_xlabel("training time, seconds")
    axes.set_ylabel(_plain(fmt.metric_heading(metric)))
    if not rows:
        return _svg(figure)
    x = logarithmic((row.train_seconds or 0.0 for row in rows), 0, 1)
    y = linear((factor * number for number in quality_range(rows)), 0, 1)
    axes.set_xscale("log")
    axes.set_xlim(x.low, x.high)
    axes.set_ylim(*((y.low, y.high) if comparison.task.higher_is_better else (y.high, y.low)))

    texts, points, whiskers = [], [], []
    for row in rows:
        spent, value = row.train_seconds or 0.0, factor * (row.value or 0.0)
        outside = not y.low <= value <= y.high
        at = min(max(value, y.low), y.high)
        colour = ACCENT if chosen(comparison, row) else GREY if row.control else INK
        low, high = fmt.finite(row.low), fmt.finite(row.high)
        if low is not None and high is not None:
            whiskers.append((spent, factor * low, factor * high))
            axes.plot([spent, spent], [factor * low, factor * high], color=colour, linewidth=1.2)
        marker, face = "v" if outside else "o", "white" if row.control else colour
        axes.plot([spent], [at], marker, markersize=6, color=colour, markerfacecolor=face, clip_on=False)
        texts.append(short(row.method) + (f" {fmt.value(metric, row.value)}" if outside else ""))
        points.append((spent, at))
    _annotate(figure, axes, texts, points, whiskers)
    return _svg(figure)


def _annotate(
    figure: Figure,
    axes: Axes,
    texts: list[str],
    points: list[tuple[float, float]],
    whiskers: list[tuple[float, float, float]],
) -> None:
    """Places labels beside their points without overlap, in points (1/72 inch), y downwards."""
    figure.draw_without_rendering()
    scale = 72 / figure.dpi

    def onto(x: float, y: float) -> tuple[float, float]:
        px, py = scale * axes.transData.transform((x, y))
        return float(px), -float(py)

    pixels = [onto(*point) for point in points]
    ends = [(onto(x, low), onto(x, high)) for x, low, high in whiskers]
    bars = [Box(a[0] - 2, min(a[1], b[1]), a[0] + 2, max(a[1], b[1])) for a, b in ends]
    area = axes.get_window_extent()
    frame = Box(scale * area.x0, -scale * area.y1, scale * area.x1, -scale * area.y0)
    labels = place(texts, pixels, bars, frame)
    sides = {"start": "left", "end": "right", "middle": "center"}
    for text, label, point, (px, py) in zip(texts, labels, points, pixels):
        offset = (label.x - px, py - label.y)
        arrow = {"arrowstyle": "-", "color": GREY, "linewidth": 0.6, "shrinkA": 0, "shrinkB": 4} if label.line else None
        axes.annotate(
            _plain(text), point, offset, textcoords="offset points", fontsize=9, ha=sides[label.anchor],
            arrowprops=arrow,
        )  # fmt: skip


def learning_rate_curve(learning_rates: Sequence[float], losses: Sequence[float], suggestion: float | None) -> str:
    """Loss against learning rate (log axis), with the suggested rate marked; readings that are not finite are gaps.

    Raises `ValueError` if the two sequences differ in length.
    """
    if len(learning_rates) != len(losses):
        raise ValueError(f"{len(learning_rates)} learning rates but {len(losses)} losses")
    figure = _figure(6.0, 3.6)
    axes = figure.subplots()
    readings = [fmt.finite(loss) for loss in losses]
    axes.plot(list(learning_rates), [float("nan") if r is None else r for r in readings], color=INK, linewidth=1.5)
    if any(rate > 0 for rate in learning_rates):
        axes.set_xscale("log")
    suggestion = fmt.finite(suggestion)
    if suggestion is not None:
        axes.axvline(suggestion, color=ACCENT, linestyle="--", linewidth=1.2)
        axes.annotate(
            f"suggested {fmt.learning_rate(suggestion)}", (suggestion, 1.0), (5, -12),
            xycoords=("data", "axes fraction"), textcoords="offset points", fontsize=9, color=ACCENT,
        )  # fmt: skip
    known = [reading for reading in readings if reading is not None]
    if known:  # limited, because the explosion at the end would flatten the relevant part
        start, best = known[0], min(known)
        ceiling = start + 1.0 * max(start - best, 0.05 * abs(start), 1e-6)
        if max(known) > ceiling:
            axes.set_ylim(best - 0.08 * (ceiling - best), ceiling)
    axes.set_xlabel("learning rate")
    axes.set_ylabel("training loss")
    return _svg(figure)


def learning_curve(found: LearningCurve) -> str:
    """The metric with its interval against the number of training examples (log axis), one line per method.

    Dashed: the fitted power law, up to ten times the largest size. Dotted: the targets.
    """
    figure = _figure(7.0, 4.2)
    axes = figure.subplots()
    factor = 100 if fmt.is_percent(found.metric) else 1
    axes.set_xscale("log")
    axes.set_xlabel("training examples")
    axes.set_ylabel(_plain(fmt.metric_heading(found.metric)))
    for number, method in enumerate(dict.fromkeys(one.method for one in found.readings)):
        mine = [one for one in found.readings if one.method == method and fmt.finite(one.value) is not None]
        n = [one.examples for one in mine]
        value, low, high = ([factor * (getattr(one, end) or 0.0) for one in mine] for end in ("value", "low", "high"))
        below, above = ([max(0.0, b - a) for a, b in zip(*ends)] for ends in ((low, value), (value, high)))
        axes.errorbar(n, value, (below, above), marker="o", capsize=3, color=f"C{number}", label=_plain(method))
        law = next((one for one in found.laws if one.method == method), None)
        if law and n:
            places = [min(n) * (10 * max(n) / min(n)) ** (step / 60) for step in range(61)]
            error = [law.limit + law.scale * place**-law.exponent for place in places]
            axes.plot(
                places, [factor * (1 - one if found.higher_is_better else one) for one in error],
                linestyle="--", linewidth=1.0, color=f"C{number}",
            )  # fmt: skip
    for target in dict.fromkeys(reach.value for law in found.laws for reach in law.reach):
        axes.axhline(factor * target, color=GREY, linestyle=":", linewidth=1.2)
        axes.annotate(
            f"goal {fmt.value(found.metric, target)}", (0.0, factor * target), (4, 3),
            xycoords=("axes fraction", "data"), textcoords="offset points", fontsize=9, color=GREY,
        )  # fmt: skip
    _whole_ticks(axes)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False)
    return _svg(figure)


def _whole_ticks(axes: Axes) -> None:
    """Ticks at 1, 2 and 5 times the powers of ten on a log axis, as plain numbers such as 1,000."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    low, high = axes.get_xlim()
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 2000 * low else (1,), numticks=20))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda number, _: f"{number:,.0f}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _plain(text: str) -> str:
    """The text, escaped so that matplotlib does not parse it as mathematics."""
    return text.replace("$", r"\$")


def _figure(width: float, height: float) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _svg(figure: Figure) -> str:
    """The figure as SVG with selectable text; fixed ids and no date, so that the same figure gives the same bytes."""
    import matplotlib

    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(True, color="#e3e7eb", linewidth=0.8)
        axes.set_axisbelow(True)
    stream = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "headstart", "svg.fonttype": "none"}):
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    return stream.getvalue()
