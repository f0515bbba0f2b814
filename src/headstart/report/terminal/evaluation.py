"""An evaluation as terminal text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from headstart.core.records.evaluation import CheckRecord, Cost, Evaluation, Judged
from headstart.report import format as fmt
from headstart.report.terminal.columns import aligned

BOUNDS = """bounds: the change lies above the first, below the second, with a confidence of 95 % each;
a gate passes if they show its condition, fails if they show the contrary, else is undecided"""


def tables(found: Evaluation) -> str:
    """A table of checks per model, the changed predictions, the costs side by side, and the verdicts of the gates."""
    parts = [_model(one, found) for one in found.models]
    parts.append(_costs(found))
    parts.append("\n".join(found.notes))
    return "\n\n".join(part for part in (*parts, BOUNDS, conclusion(found)) if part)


def reference(found: Evaluation) -> str:
    """Name of the reference model in a column."""
    return "base" if found.against == "base" else "other"


def conclusion(found: Evaluation) -> str:
    """The verdict of the gates: failed ones, and for undecided ones the number of examples that would decide."""
    named = {
        verdict: [(one.name, record) for one in found.models for record in one.checks if record.verdict == verdict]
        for verdict in ("passed", "failed", "undecided")
    }
    lines = []
    if failed := named["failed"]:
        lines.append(f"failed: {', '.join(f'{name}: {record.check}' for name, record in failed)}")
    for name, record in named["undecided"]:
        if record.examples_needed:
            cure = f"{fmt.needed(record.examples_needed)} examples would decide"
            if record.examples_needed <= fmt.MOST_NEEDED:
                cure += f", {fmt.count(record.more_examples)} more"
        else:
            cure = "no number of examples would decide; more seeds might"
        lines.append(f"undecided: {name}: {record.check}; {cure}")
    if found.passed:
        lines.append("every gate passed" if named["passed"] else "no gate was set")
    return "\n".join(lines)


def _model(one: Judged, found: Evaluation) -> str:
    seeds = f", {len(one.models)} seeds" if len(one.models) > 1 else ""
    main, first = one.checks[0].metric, " (the first seed)" if seeds else ""
    head = ("check", "n", reference(found), "tuned", "change", "bounds", "asked", "gate", "shown")
    rows = [head, *(_cells(record, main) for record in one.checks)]
    against = "the base" if found.against == "base" else found.against
    lines = [f"{one.name}{seeds} against {against}; {fmt.metric_heading(main)}", *aligned(rows, left=(0, -2, -1))]
    for record in one.checks:
        if record.gained or record.lost:
            lines.append(f"{record.check}: {record.gained} examples are right that were wrong, {record.lost} wrong "
                         f"that were right{first}")  # fmt: skip
    return "\n".join(lines)


def asked(record: CheckRecord) -> str:
    """The gate's condition on the change, such as `> -1.0`."""
    if record.gate == "none":
        return fmt.MISSING
    bar = 0.0 if record.gate == "improved" else record.tolerance
    sign = ">" if record.higher_is_better else "<"
    return f"{sign} {fmt.value(record.metric, -bar if record.higher_is_better else bar)}"


def _cells(record: CheckRecord, main: str) -> tuple[str, ...]:
    name = record.metric
    gate = {"none": fmt.MISSING}.get(record.verdict, record.verdict)
    return (
        record.check if name == main or name in record.check else f"{record.check}, {name}", str(record.examples),
        fmt.value(name, record.base.value), fmt.value(name, record.tuned.value),
        fmt.value(name, record.difference, signed=True), fmt.interval(name, record.lower, record.upper), asked(record),
        gate, record.status,
    )  # fmt: skip


def _costs(found: Evaluation) -> str:
    sides = [(reference(found), found.base_cost), *((one.name, one.cost) for one in found.models)]
    known = [(name, cost) for name, cost in sides if cost]
    if not known:
        return ""
    columns = [column for column in COLUMNS if any(column.of(cost) is not None for _, cost in known)]
    head = ("cost", *(column.heading(found) for column in columns))
    rows = [(name, *(column.show(column.of(cost)) for column in columns)) for name, cost in known]
    lines = aligned([head, *rows])
    for one in found.externals:
        reached = ""
        if one.quality is not None:
            name = _metric(found)
            reached = f"; {fmt.metric_heading(name)} {fmt.value(name, one.quality)}, as the suite says"
        lines.append(f"{one.name}: {money(one.money)} {found.currency} a thousand examples{reached}")
    return "\n".join(lines)


def _metric(found: Evaluation) -> str:
    return found.models[0].checks[0].metric


def money(number: float | None) -> str:
    return fmt.MISSING if number is None else f"{number:.3g}"


@dataclass(frozen=True)
class Column:
    """A cost as a cell of a table."""

    title: str
    field: str
    show: Callable[[float | None], str]

    def of(self, cost: Cost) -> float | None:
        found: float | None = getattr(cost, self.field)
        return found

    def heading(self, found: Evaluation) -> str:
        return self.title.replace("$", found.currency or "$")


def _short(show: Callable[[float | None, str], str]) -> Callable[[float | None], str]:
    return lambda number: show(number, "")


COLUMNS = (
    Column("p50", "p50_seconds", _short(fmt.seconds)),
    Column("p95", "p95_seconds", _short(fmt.seconds)),
    Column("p99", "p99_seconds", _short(fmt.seconds)),
    Column("a second", "examples_a_second", fmt.count),
    Column("memory", "peak_memory_bytes", _short(fmt.size)),
    Column("artifact", "artifact_bytes", _short(fmt.size)),
    Column("tokens", "tokens", fmt.count),
    Column("J each", "joules", money),
    Column("$ a 1000", "money", money),
)
"columns: latency of one example; throughput in batches of 32, and energy and money measured at it"
