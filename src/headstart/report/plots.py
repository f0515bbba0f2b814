"""Figures as SVG text, drawn by matplotlib without a display, the same bytes for the same record."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from headstart.core.comparison import Comparison
from headstart.report import format as fmt
from headstart.report.ranking import chosen, ranked

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ACCENT, INK, GREY = "#1d5f9e", "#33404d", "#8a949e"


def quality_against_cost(comparison: Comparison) -> str:
    """The metric with its interval against training seconds (log axis). Methods without both are left out."""
    figure = _figure(7.0, 4.2)
    axes = figure.subplots()
    metric = comparison.task.metric
    factor = 100 if fmt.is_percent(metric) else 1
    for row in ranked(comparison):
        value, spent = fmt.finite(row.value), fmt.finite(row.train_seconds)
        if value is None or spent is None or spent <= 0:
            continue
        low, high = fmt.finite(row.low), fmt.finite(row.high)
        colour = ACCENT if chosen(comparison, row) else GREY if row.control else INK
        if low is not None and high is not None:
            axes.plot([spent, spent], [factor * low, factor * high], color=colour, linewidth=1.2)
        face = "white" if row.control else colour
        axes.plot([spent], [factor * value], "o", markersize=6, markerfacecolor=face, markeredgecolor=colour)
        axes.annotate(_plain(row.method), (spent, factor * value), (6, 4), textcoords="offset points", fontsize=8)
    if axes.lines:
        axes.set_xscale("log")
    axes.set_xlabel("training time, seconds")
    axes.set_ylabel(_plain(fmt.metric_heading(metric)))
    if not comparison.task.higher_is_better:
        axes.invert_yaxis()
    return _svg(figure)


def learning_rate_curve(learning_rates: Sequence[float], losses: Sequence[float], suggestion: float | None) -> str:
    """Loss against learning rate (log axis), with the suggested rate marked; readings that are not finite are gaps.

    Raises `ValueError` where the two sequences differ in length.
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
    if known:  # the explosion at the end would flatten the part that matters
        start, best = known[0], min(known)
        ceiling = start + 1.0 * max(start - best, 0.05 * abs(start), 1e-6)
        if max(known) > ceiling:
            axes.set_ylim(best - 0.08 * (ceiling - best), ceiling)
    axes.set_xlabel("learning rate")
    axes.set_ylabel("training loss")
    return _svg(figure)


def _plain(text: str) -> str:
    """Text that matplotlib does not read as mathematics."""
    return text.replace("$", r"\$")


def _figure(width: float, height: float) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _svg(figure: Figure) -> str:
    """SVG with text as text; ids from a fixed salt and no date, so that the same figure gives the same bytes."""
    import matplotlib

    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(True, color="#e3e7eb", linewidth=0.8)
        axes.set_axisbelow(True)
    stream = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "headstart", "svg.fonttype": "none"}):
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    return stream.getvalue()
