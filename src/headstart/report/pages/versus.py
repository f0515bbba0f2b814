"""Two runs side by side as a self-contained HTML page."""

from __future__ import annotations

from headstart.core.records.versus import Versus
from headstart.report import format as fmt
from headstart.report.pages.templating import environment, frame
from headstart.report.ranking import ranked


def page(found: Versus) -> str:
    """A page with the options and versions that differ, the methods of both runs, and their verdicts."""
    first, second = found.runs
    order = list(dict.fromkeys(row.method for run in found.runs for row in ranked(run)))
    rows = [{row.method: row for row in run.rows} for run in found.runs]
    pairs = {pair.method: pair for pair in found.pairs}
    return environment().get_template("versus.html.j2").render(
        versus=found, first=first, second=second, metric=first.task.metric,
        methods=[(name, pairs.get(name), rows[0].get(name), rows[1].get(name)) for name in order],
        facts=_differing(found), **frame(found, "sort.js"),
    )  # fmt: skip


def _differing(found: Versus) -> list[tuple[str, str, str]]:
    """Names and both values of the options and versions that differ."""
    sides = []
    for run in found.runs:
        environment_ = run.environment
        versions = {
            "data": run.data.source, "data's fingerprint": run.data.fingerprint, "model": run.model.source,
            "precision": environment_.precision, "device": environment_.device, "processor": environment_.processor,
            "headstart": environment_.headstart, **environment_.libraries,
        }  # fmt: skip
        options = {k: fmt.setting(v, k) for k, v in run.configuration.items() if k not in ("data", "model")}
        sides.append({**options, **versions})
    names = list(dict.fromkeys([*sides[0], *sides[1]]))
    values = [(name, *(str(side.get(name, fmt.MISSING)) for side in sides)) for name in names]
    return [(name, a, b) for name, a, b in values if a != b]
