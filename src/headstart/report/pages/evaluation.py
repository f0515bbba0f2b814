"""An evaluation as a self-contained HTML page."""

from __future__ import annotations

from headstart.core.records.evaluation import Evaluation
from headstart.report.charts.tradeoff import tradeoff
from headstart.report.charts.trend import History, charts, moments
from headstart.report.pages.templating import environment, frame
from headstart.report.terminal.evaluation import COLUMNS, asked, conclusion, reference


def page(found: Evaluation, history: History = ()) -> str:
    """Checks per model, examples with changed predictions (texts or images), and costs; works offline.

    history: the evaluations of the run by number, for the trend chart.
    """
    sides = [(reference(found), found.base_cost), *((one.name, one.cost) for one in found.models)]
    costs = [(name, cost) for name, cost in sides if cost]
    return environment().get_template("evaluation.html.j2").render(
        evaluation=found,
        conclusion=conclusion(found).splitlines(),
        asked=asked,
        reference=reference(found),
        costs=costs,
        columns=[column for column in COLUMNS if any(column.of(cost) is not None for _, cost in costs)],
        drawn=tradeoff(found),
        trend=moments(history) if len(history) > 1 else [],
        trends=charts(history),
        **frame(found, "sort.js"),
    )  # fmt: skip
