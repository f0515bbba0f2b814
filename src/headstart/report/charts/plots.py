"""Figures as SVG text by matplotlib, without a display; the same record gives the same bytes."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from headstart.core.records.curve import LearningCurve
from headstart.report import format as fmt

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ACCENT, INK, GREY = "#1d5f9e", "#33404d", "#8a949e"


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
