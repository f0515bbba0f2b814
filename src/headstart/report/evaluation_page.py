"""An evaluation as one self-contained HTML page."""

from __future__ import annotations

from headstart.core.evaluation import Evaluation
from headstart.report.templating import environment, frame


def page(found: Evaluation) -> str:
    """Checks a model, the examples that flipped with texts or pictures, and costs; asks nothing of the network."""
    sides = [("base", found.base_cost), *((one.name, one.cost) for one in found.models)]
    return environment().get_template("evaluation.html.j2").render(
        evaluation=found,
        failed=[f"{one.name}: {record.check}" for one in found.models for record in one.checks if not record.passed],
        costs=[(name, cost) for name, cost in sides if cost],
        **frame(found, "sort.js"),
    )  # fmt: skip
