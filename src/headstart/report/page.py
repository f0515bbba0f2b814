"""One comparison as one self-contained HTML page, and as a small fragment for notebooks.

The page asks nothing of the network (its own Content-Security-Policy forbids it), works without JavaScript, and
holds the whole record as JSON. Everything that came from a user passes Jinja's escaping.
"""

from __future__ import annotations

import base64
import dataclasses
import functools
import hashlib
import json
from importlib import resources
from typing import Any

import jinja2
from markupsafe import Markup

from headstart.core.comparison import Comparison, DataRecord, Row
from headstart.report import dataset, ranking
from headstart.report import format as fmt
from headstart.report.command import command
from headstart.report.confusion import confusion
from headstart.report.curves import interpolation_curves, loss_curves, validation_curves
from headstart.report.scatter import COSTS, Scatter, scatter
from headstart.report.summary import summary

SWITCH_ON = "document.documentElement.classList.add('js')"


def page(comparison: Comparison) -> str:
    """The whole page, from `<!doctype html>` on."""
    script = _text("page.js")
    return _environment().get_template("page.html.j2").render(
        **_shared(comparison),
        drawn=[chart for cost in COSTS if (chart := _chart(comparison, cost.field)) is not None],
        panels=[_panel(comparison, row, number) for number, row in enumerate(ranking.ranked(comparison))],
        shown=_shown(comparison),
        winner=next((row for row in comparison.rows if ranking.chosen(comparison, row)), None),
        data=comparison.data,
        style=Markup(_text("page.css")),
        script=Markup(script),
        switch_on=Markup(SWITCH_ON),
        script_hashes=[_hash(SWITCH_ON), _hash(script)],
        record=_embedded(comparison),
        command=command(comparison.configuration),
    )  # fmt: skip


def fragment(comparison: Comparison) -> str:
    """The main table and the verdict with inline styles only, for a notebook's output cell."""
    return _environment().get_template("fragment.html.j2").render(**_shared(comparison))


def audit_fragment(record: DataRecord) -> str:
    """The data audit with inline styles only, for a notebook's output cell."""
    return _environment().get_template("audit_fragment.html.j2").render(data=record)


def _shared(comparison: Comparison) -> dict[str, Any]:
    return {"comparison": comparison, "table": summary(comparison), "metric": comparison.task.metric}


def _shown(comparison: Comparison) -> int:
    """The panel that is open at first: the verdict's method, else the best."""
    rows = ranking.ranked(comparison)
    return next((i for i, row in enumerate(rows) if ranking.chosen(comparison, row)), 0)


def _chart(comparison: Comparison, field: str) -> tuple[Scatter, Scatter] | None:
    """The chart for wide and for narrow screens."""
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


def _embedded(comparison: Comparison) -> Markup:
    """The record as JSON that can't end its script element: `<`, `>` and `&` are written as escapes."""
    text = json.dumps(comparison.to_json(), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


def _hash(script: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _text(name: str) -> str:
    return (resources.files("headstart.report") / "templates" / name).read_text(encoding="utf-8")


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_text),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    functions = ("value", "interval", "p_value", "count", "whole", "share", "size", "seconds", "learning_rate",
                 "setting", "metric_name", "metric_heading", "is_percent", "finite")  # fmt: skip
    environment.globals.update({name: getattr(fmt, name) for name in functions})
    environment.globals.update(class_counts=dataset.class_counts, findings=dataset.findings)
    environment.globals.update(settings=_settings)
    environment.filters["minus"] = lambda text: str(text).replace("-", "−") if str(text)[:1] in "-[" else text
    return environment


def _settings(record: Any) -> dict[str, Any]:
    """A dict as it is; a record as the dict of its fields."""
    return dataclasses.asdict(record) if dataclasses.is_dataclass(record) else dict(record)  # type: ignore[arg-type]
