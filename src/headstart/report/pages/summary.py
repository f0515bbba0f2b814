"""The main table as cells, for the page and for notebooks."""

from __future__ import annotations

from dataclasses import dataclass

from headstart.core.records.comparison import Comparison, Row
from headstart.report import format as fmt
from headstart.report.ranking import (
    also,
    chosen,
    is_cheapest,
    is_reference,
    p_shown,
    prompted,
    ranked,
    status_kind,
)


@dataclass(frozen=True)
class Column:
    key: str
    title: str
    explanation: str


@dataclass(frozen=True)
class TableCell:
    text: str
    value: float | None = None
    "sort key; None goes last"
    detail: str = ""
    "a second, smaller text"


@dataclass(frozen=True)
class Bar:
    """Interval and value in percent of the bar's width; `outside` if the value is off the scale."""

    low: float | None
    high: float | None
    value: float
    outside: bool


@dataclass(frozen=True)
class Line:
    row: Row
    badges: list[tuple[str, str]]
    "CSS class, words"
    kind: str
    quality: TableCell
    bar: Bar | None
    cells: list[TableCell]
    "one per entry of `Table.columns` after the first two (method and quality)"


@dataclass(frozen=True)
class Table:
    columns: list[Column]
    lines: list[Line]


def summary(comparison: Comparison) -> Table:
    metric = comparison.task.metric
    reference = comparison.verdict.reference
    columns = [
        Column("method", "Method", "how the model was adapted"),
        Column("quality", fmt.metric_heading(metric), "on the test split, mean over seeds, with its 95 % interval"),
        Column("difference", "vs reference", f"difference from {reference or 'the reference'}, paired by example"),
        Column("p", "p", "paired permutation test against the reference, after Holm's correction"),
        Column("validation", "Validation", "mean over seeds on validation, by which the reference is chosen"),
        Column("trained", "Trained", "trained parameters and their share of the model"),
        Column("memory", "Memory", "peak memory in training"),
        Column("train", "Train", "median time of one training at the chosen configuration"),
        Column("tuning", "Tuning", "all trials together"),
        Column("latency", "Latency", "median for one example at batch size 1"),
        Column("size", "Artifact", "bytes to ship"),
        Column("lr", "LR", "learning rate chosen on validation"),
    ]
    lines = ranked(comparison)
    others = also(comparison)
    columns += [Column(name, fmt.metric_heading(name), "on the test split, with its 95 % interval") for name in others]
    scale = _scale(lines)
    if prompted(comparison):
        columns.append(Column("tokens", "Tokens", "read per text, its prompt included, and answered in words"))
    return Table(columns, [_line(comparison, row, scale) for row in lines])


def _line(comparison: Comparison, row: Row, scale: tuple[float, float] | None) -> Line:
    metric = comparison.task.metric
    badges = []
    if chosen(comparison, row):
        badges.append(("use", "use this"))
    if is_cheapest(comparison, row):
        badges.append(("cheapest", f"cheapest within {fmt.margin(metric, comparison.verdict.margin)}"))
    if is_reference(comparison, row):
        badges.append(("ref", "reference"))
    if row.control:
        badges.append(("control", "control"))
    if row.status != "ok":
        early = f" after {row.stopped.length}" if row.stopped else ""
        badges.append((status_kind(row), row.status.partition(":")[0].strip() + early))
    return Line(
        row,
        badges,
        "missing" if fmt.finite(row.value) is None else "control" if row.control else "method",
        TableCell(fmt.value(metric, row.value), fmt.finite(row.value), fmt.interval(metric, row.low, row.high)),
        _bar(row, scale),
        [
            _difference(comparison, row), _p(comparison, row), *_costs(metric, row), *_also(comparison, row),
            *_tokens(comparison, row),
        ],
    )  # fmt: skip


def _also(comparison: Comparison, row: Row) -> list[TableCell]:
    found = {score.metric: score for score in row.also}
    return [
        TableCell(fmt.value(name, one.value), fmt.finite(one.value), fmt.interval(name, one.low, one.high))
        if (one := found.get(name))
        else TableCell(fmt.MISSING)
        for name in also(comparison)
    ]


def _tokens(comparison: Comparison, row: Row) -> list[TableCell]:
    if not prompted(comparison):
        return []
    answered = f"+ {row.tokens_out:.1f}" if row.tokens_out else ""
    read = fmt.finite(row.tokens_in)
    return [TableCell(fmt.MISSING if read is None else f"{read:.0f}", read, answered)]


def _difference(comparison: Comparison, row: Row) -> TableCell:
    metric = comparison.task.metric
    if is_reference(comparison, row):
        return TableCell("reference", 0.0)
    return TableCell(
        fmt.value(metric, row.difference, signed=True),
        fmt.finite(row.difference),
        fmt.interval(metric, row.difference_low, row.difference_high),
    )


def _p(comparison: Comparison, row: Row) -> TableCell:
    return TableCell("" if is_reference(comparison, row) else fmt.p_value(p_shown(row)), p_shown(row))


def _costs(metric: str, row: Row) -> list[TableCell]:
    return [
        TableCell(fmt.value(metric, row.validation_value), fmt.finite(row.validation_value)),
        TableCell(
            fmt.count(row.trained_parameters),
            fmt.finite(row.trained_parameters),
            "" if fmt.finite(row.trained_share) is None else fmt.share(row.trained_share),
        ),
        TableCell(fmt.size(row.peak_memory_bytes), fmt.finite(row.peak_memory_bytes)),
        TableCell(fmt.seconds(row.train_seconds), fmt.finite(row.train_seconds)),
        TableCell(fmt.seconds(row.tuning_seconds), fmt.finite(row.tuning_seconds)),
        TableCell(fmt.seconds(row.latency_seconds), fmt.finite(row.latency_seconds)),
        TableCell(fmt.size(row.artifact_bytes), fmt.finite(row.artifact_bytes)),
        TableCell(fmt.learning_rate(row.learning_rate), fmt.finite(row.learning_rate)),
    ]


def _scale(rows: list[Row]) -> tuple[float, float] | None:
    """Scale of the bars: the range of the methods' intervals; controls count only if there are no others."""
    for group in ([row for row in rows if not row.control], rows):
        ends = [fmt.finite(number) for row in group for number in (row.low, row.value, row.high)]
        known = [number for number in ends if number is not None]
        if known:
            low, high = min(known), max(known)
            return (low, high) if high > low else (low - 0.5, high + 0.5)
    return None


def _bar(row: Row, scale: tuple[float, float] | None) -> Bar | None:
    value, low, high = fmt.finite(row.value), fmt.finite(row.low), fmt.finite(row.high)
    if scale is None or value is None:
        return None

    def place(number: float) -> float:
        assert scale is not None
        return round(min(max(2 + 96 * (number - scale[0]) / (scale[1] - scale[0]), 0), 100), 2)

    outside = not scale[0] <= value <= scale[1]
    return Bar(None if low is None else place(low), None if high is None else place(high), place(value), outside)
