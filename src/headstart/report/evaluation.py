"""An evaluation, for terminals."""

from __future__ import annotations

from headstart.core.evaluation import CheckRecord, Cost, Evaluation, Judged
from headstart.report import format as fmt
from headstart.report.columns import aligned


def tables(found: Evaluation) -> str:
    """A table of checks a model, who flipped, the costs side by side, and whether the gates were passed."""
    parts = [_model(one) for one in found.models]
    parts.append(_costs(found))
    parts += list(found.notes)
    if any(record.more_examples for one in found.models for record in one.checks):
        parts.append("undecided, N more: about so many more examples would tell")
    failed = [f"{one.name}: {record.check}" for one in found.models for record in one.checks if not record.passed]
    parts.append("every gate passed" if found.passed else f"failed: {', '.join(failed)}")
    return "\n\n".join(part for part in parts if part)


def _model(one: Judged) -> str:
    seeds = f", {len(one.models)} seeds" if len(one.models) > 1 else ""
    main = one.checks[0].metric
    head = ("check", "n", "base", "tuned", "change", "95 % interval", "p", "gate", "")
    rows = [head, *(_cells(record, main) for record in one.checks)]
    lines = [f"{one.name}{seeds} against the base; {fmt.metric_heading(main)}", *aligned(rows, left=(0, -2, -1))]
    for record in one.checks:
        if record.gained or record.lost:
            lines.append(f"{record.check}: {record.gained} examples are right that were wrong, {record.lost} wrong "
                         "that were right")  # fmt: skip
    return "\n".join(lines)


def _cells(record: CheckRecord, main: str) -> tuple[str, ...]:
    name = record.metric
    status = record.status
    if record.more_examples:
        status += f", {fmt.count(record.more_examples)} more"
    gate = {"none": fmt.MISSING}.get(record.gate, "passed" if record.passed else "failed")
    return (
        record.check if name == main else f"{record.check}, {name}", str(record.examples),
        fmt.value(name, record.base.value), fmt.value(name, record.tuned.value),
        fmt.value(name, record.difference, signed=True), fmt.interval(name, record.low, record.high),
        fmt.p_value(record.p_adjusted), gate, status,
    )  # fmt: skip


def _costs(found: Evaluation) -> str:
    sides = [("base", found.base_cost), *((one.name, one.cost) for one in found.models)]
    rows = [(name, *_cost(cost)) for name, cost in sides if cost]
    head = ("cost", "one example, p50", "p95", "p99", "a second, batch 32", "artifact")
    return "\n".join(aligned([head, *rows])) if rows else ""


def _cost(cost: Cost) -> tuple[str, ...]:
    times = (fmt.seconds(x, "") for x in (cost.p50_seconds, cost.p95_seconds, cost.p99_seconds))
    return (*times, fmt.count(cost.examples_a_second), fmt.size(cost.artifact_bytes, ""))
