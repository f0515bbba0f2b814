"""A ranking of pretrained models, for terminals."""

from __future__ import annotations

from headstart.core.ranking import Candidate, Ranking
from headstart.report import format as fmt
from headstart.report.columns import aligned


def table(found: Ranking) -> str:
    """A line a candidate, best first, and what the columns are."""
    head = ("model", "LogME", fmt.metric_heading(found.metric), "95 % interval", "5 neighbours", "H-score", "seconds")
    scored = [one for one in found.candidates if one.status == "ok"]
    lines = aligned([head, *(_cells(one, found.metric) for one in scored)])
    lines += [f"{one.name}: {one.status}" for one in found.candidates if one.status != "ok"]
    lines += [
        "",
        f"Frozen features of {found.examples} training examples; the metric is that of a linear head on them, on",
        f"{found.validation} of validation. Nothing was trained, the test split was not looked at. First is the",
        "highest LogME; overlapping intervals do not tell models apart.",
    ]
    return "\n".join(lines)


def _cells(one: Candidate, metric: str) -> tuple[str, ...]:
    interval = f"[{fmt.value(metric, one.low)}, {fmt.value(metric, one.high)}]"
    return (
        one.name, _number(one.logme), fmt.value(metric, one.probe), interval, fmt.value(metric, one.knn),
        _number(one.h_score), fmt.seconds(one.seconds, ""),
    )  # fmt: skip


def _number(value: float | None) -> str:
    return fmt.MISSING if fmt.finite(value) is None else f"{value:.3f}"
