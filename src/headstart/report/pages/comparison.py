"""A comparison as a self-contained HTML page, and as a fragment for notebooks.

The page works offline (its Content-Security-Policy forbids requests) and without JavaScript, and holds the whole record
as JSON. All values from users pass Jinja's escaping.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from headstart.core.records.comparison import Comparison, Row
from headstart.core.records.data import DataRecord
from headstart.report import ranking
from headstart.report.charts.confusion import confusion
from headstart.report.charts.curves import interpolation_curves, loss_curves, validation_curves
from headstart.report.charts.scatter import COSTS, Scatter, scatter
from headstart.report.pages.command import command, next_steps
from headstart.report.pages.summary import summary
from headstart.report.pages.templating import environment, frame


def page(comparison: Comparison, folder: str | Path = "runs/NAME") -> str:
    """The whole page, from `<!doctype html>` on. folder: the run folder, for the follow-up commands."""
    return environment().get_template("page.html.j2").render(
        **_shared(comparison),
        drawn=[chart for cost in COSTS if (chart := _chart(comparison, cost.field)) is not None],
        panels=[_panel(comparison, row, number) for number, row in enumerate(ranking.ranked(comparison))],
        parts=[row for row in ranking.ranked(comparison) if row.parts],
        shown=_shown(comparison),
        winner=next((row for row in comparison.rows if ranking.chosen(comparison, row)), None),
        data=comparison.data,
        **frame(comparison, "sort.js", "page.js"),
        command=command(comparison.configuration), steps=next_steps(comparison, folder),
        explained=[row for row in ranking.ranked(comparison) if row.summary],
    )  # fmt: skip


def fragment(comparison: Comparison) -> str:
    """The main table and the verdict for a notebook, with inline styles only."""
    return environment().get_template("fragment.html.j2").render(**_shared(comparison))


def audit_fragment(record: DataRecord) -> str:
    """The data audit for a notebook, with inline styles only."""
    return environment().get_template("audit_fragment.html.j2").render(data=record)


def _shared(comparison: Comparison) -> dict[str, Any]:
    return {"comparison": comparison, "table": summary(comparison), "metric": comparison.task.metric}


def _shown(comparison: Comparison) -> int:
    """The method whose panel is open at first: the recommended one, else the best."""
    rows = ranking.ranked(comparison)
    return next((i for i, row in enumerate(rows) if ranking.chosen(comparison, row)), 0)


def _chart(comparison: Comparison, field: str) -> tuple[Scatter, Scatter] | None:
    """The chart of quality against cost, for wide and for narrow screens."""
    cost = next(cost for cost in COSTS if cost.field == field)
    wide, narrow = scatter(comparison, cost), scatter(comparison, cost, width=350, height=400)
    return None if wide is None or narrow is None else (wide, narrow)


def _panel(comparison: Comparison, row: Row, number: int) -> dict[str, Any]:
    metric = comparison.task.metric
    charts = [validation_curves(row, metric), loss_curves(row), interpolation_curves(row, metric)]
    tried = list(dict.fromkeys(key for trial in row.trials for key in trial.configuration))
    return {
        "number": number,
        "row": row,
        "curves": [chart for chart in charts if chart is not None],
        "confusion": confusion(row, comparison.task.labels),
        "trial_fields": tried,
    }
