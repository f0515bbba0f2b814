"""A comparison as terminal text: no colour, at most 100 columns."""

from __future__ import annotations

import textwrap

from rich.cells import cell_len, set_cell_size

from headstart.core.records.comparison import Comparison, Row
from headstart.core.records.data import DataRecord
from headstart.report import format as fmt
from headstart.report.ranking import also, chosen, is_cheapest, is_reference, is_stopped, p_shown, ranked

WIDTH = 100
SHORTEST_NAME = 12


def table(comparison: Comparison) -> str:
    """One row per method, best first, then an explanation of the columns and the verdict.

    Marks: `>` the recommended method, `=` the cheapest within the margin, `~` a control, `x` stopped by a race. A
    method without a result shows its status instead.
    """
    rows = ranked(comparison)
    metric = comparison.task.metric
    others = also(comparison)
    head = [
        "",
        "method",
        _metric_head(metric),
        *(fmt.metric_heading(name).replace(",", "") for name in others),
        "vs ref",
        "p",
        "trained",
        "memory",
        "train",
        "1 ex.",
        "size",
        "lr",
    ]
    body = [_cells(comparison, row) for row in rows]
    if len(rows) == 1:  # no reference to compare with
        at = 3 + len(others)
        head, *body = (cells[:at] + cells[at + 2 :] for cells in (head, *body))
    results = [cells for row, cells in zip(rows, body) if fmt.finite(row.value) is not None]
    widths = [max(cell_len(cells[i]) for cells in [head, *results]) for i in range(len(head))]
    widths[1] = max(cell_len(cells[1]) for cells in [head, *body])
    gap = "  " if sum(widths) + 2 * (len(widths) - 1) <= WIDTH else " "
    excess = sum(widths) + len(gap) * (len(widths) - 1) - WIDTH
    widths[1] = max(min(widths[1], SHORTEST_NAME), widths[1] - max(0, excess))

    lines = [_line(head, widths, gap)]
    for row, cells in zip(rows, body):
        if fmt.finite(row.value) is None:
            start = _line(cells[:2], widths[:2], gap) + gap
            lines += _wrap(row.status, start, " " * cell_len(start))
        else:
            lines.append(_line(cells, widths, gap))
    lines += ["", *_explanation(comparison), *_sources(comparison), *_parts(comparison, rows), ""]
    lines += [part for line in comparison.verdict.said for part in _wrap(line, rest="  ")]
    if comparison.status != "complete":
        lines += ["", *_wrap(f"This comparison is {comparison.status}: it was stopped before every method was run.")]
    return "\n".join(line.rstrip() for line in lines)


def audit(record: DataRecord) -> str:
    """The data audit: the splits with their class counts, then the findings."""
    used = f"{fmt.whole(record.rows_read)} rows read, {fmt.whole(record.rows_used)} used"
    lines = [*_wrap(f"{record.source}: {used}")]
    for line in record.understood:
        lines += _wrap(clean(line), "  ", "    ")
    name = max((cell_len(clean(split.name)) for split in record.splits), default=0)
    for split in record.splits:
        start = f"  {set_cell_size(clean(split.name), name)}  {fmt.whole(split.size):>7}  "
        rest = clean(split.origin) + (f"; {_classes(split.class_counts)}" if split.class_counts else "")
        lines += _wrap(rest, start, " " * cell_len(start))
    if not record.findings:
        return "\n".join([*lines, "No findings."])
    lines.append("Findings:")
    order = {"error": 0, "warning": 1}
    for finding in sorted(record.findings, key=lambda finding: order.get(finding.severity, 2)):
        text = f"{finding.message}"
        if finding.examples:
            text += f" ({', '.join(finding.examples[:3])}{', …' if len(finding.examples) > 3 else ''})"
        lines += _wrap(text, f"  {clean(finding.severity):<7}  ", " " * 11)
    return "\n".join(line.rstrip() for line in lines)


def clean(text: str) -> str:
    """The text with control characters (escapes, line breaks) replaced by `?` or a blank."""
    return "".join(c if c.isprintable() else " " if c.isspace() else "?" for c in str(text))


def _metric_head(metric: str) -> str:
    name = "AUROC" if metric == "auroc" else metric.replace("_", " ")
    return _shorten(clean(name), len("average precision")) + (" %" if fmt.is_percent(metric) else "")


def _cells(comparison: Comparison, row: Row) -> list[str]:
    metric = comparison.task.metric
    marks = (
        (">", chosen(comparison, row)),
        ("=", is_cheapest(comparison, row)),
        ("~", row.control),
        ("x", is_stopped(row)),
    )
    mark = next((sign for sign, holds in marks if holds), "")
    trained = fmt.count(row.trained_parameters)
    if fmt.finite(row.trained_share) is not None:
        trained += f" {fmt.share(row.trained_share):>5}"
    reference = is_reference(comparison, row)
    return [
        mark,
        clean(row.method),
        f"{fmt.value(metric, row.value)} {fmt.interval(metric, row.low, row.high)}".rstrip(),
        *(fmt.value(name, next((s.value for s in row.also if s.metric == name), None)) for name in also(comparison)),
        "ref" if reference else fmt.value(metric, row.difference, signed=True),
        "" if reference else fmt.p_value(p_shown(row)),
        trained,
        fmt.size(row.peak_memory_bytes, ""),
        fmt.seconds(row.train_seconds, ""),
        fmt.seconds(row.latency_seconds, ""),
        fmt.size(row.artifact_bytes, ""),
        fmt.learning_rate(row.learning_rate),
    ]


def _explanation(comparison: Comparison) -> list[str]:
    seeds, verdict = len(comparison.seeds), comparison.verdict
    parts = [f"Test split, {_seeds(comparison)}, [95% interval]."]
    if comparison.folds:
        again = f", {seeds // comparison.folds} times" if seeds > comparison.folds else ""
        parts = [f"Every example tested once in {comparison.folds} folds{again}, mean over folds, [95% interval]."]
    if why := comparison.task.metric_reason:
        parts[0] += f" {fmt.metric_name(comparison.task.metric)}, since {clean(why)}."
    if len(comparison.rows) == 1:
        return _wrap(parts[0] + ("" if seeds > 1 else " One seed: another training may come out otherwise."))
    test = "corrected resampled t-test" if comparison.folds else "paired permutation"
    if verdict.reference is not None:
        parts.append(f"ref: {clean(verdict.reference)}, best on validation; p: {test}, Holm.")
    if verdict.method is not None:
        parts.append("> use this.")
    if any(is_cheapest(comparison, row) for row in comparison.rows):
        parts.append(f"= cheapest within {fmt.margin(comparison.task.metric, verdict.margin)} of ref.")
    if any(row.control for row in comparison.rows):
        parts.append("~ control.")
    if any(is_stopped(row) and fmt.finite(row.value) is not None for row in comparison.rows):
        parts.append("x stopped early, with the value of the shorter training.")
    if seeds == 1:
        parts.append("One seed compares two trained models, not two methods.")
    return _wrap(" ".join(parts))


def _sources(comparison: Comparison) -> list[str]:
    """The model and the columns; for a built-in model, a note that larger ones are usually better."""
    model, columns = comparison.model, comparison.data.columns
    read = "".join(f", {role} from {name}" for role, name in columns.items())
    lines = _wrap(
        f"Model: {model.source}, {fmt.count(model.parameters)} parameters. Data: {comparison.data.source}{read}."
    )
    if model.source.startswith("builtin/"):
        larger = "timm/resnet50.a1_in1k" if comparison.task.input.is_image else (
            "sentence-transformers/all-MiniLM-L6-v2")  # fmt: skip
        lines += _wrap(f"The built-in model is small; a larger one is usually better: --model {larger}, or a folder.")
    return lines


def _seeds(comparison: Comparison) -> str:
    """`mean over 3 seeds`; `mean over 1 to 3 seeds` if a race gave some methods fewer."""
    rows = [row for row in comparison.rows if fmt.finite(row.value) is not None and row.learning_rate is not None]
    trained = [len(row.seeds) for row in rows if row.seeds]
    least, most = min(trained, default=0), max(trained, default=len(comparison.seeds))
    return f"mean over {least} to {most} seeds" if 0 < least < most else fmt.seeds(most)


def _parts(comparison: Comparison, rows: list[Row]) -> list[str]:
    """Quality on each part of the test split: one line per part, one column per method, best first."""
    measured = [row for row in rows if row.parts]
    if not measured:
        return []
    parts = measured[0].parts
    name = max(_length(part.name) for part in parts)
    size = max(len("examples"), *(len(fmt.whole(part.size)) for part in parts))
    widths = [max(cell_len(clean(row.method)), 6) for row in measured]
    room = WIDTH - name - size - 6
    while len(widths) > 1 and sum(widths) + 2 * len(widths) > room:
        widths.pop()
    shown = measured[: len(widths)]
    title = f"{_metric_head(comparison.task.metric)} by part"
    lines = ["", f"{title}{'' if len(shown) == len(measured) else ' (best methods; all in the report)'}:"]
    lines.append(
        _line(["", "", "", "examples", *(clean(row.method) for row in shown)], [0, name, 0, size, *widths], "  ")
    )
    for i, part in enumerate(parts):
        values = [fmt.value(comparison.task.metric, row.parts[i].value) for row in shown]
        lines.append(
            _line(["", clean(part.name), "", fmt.whole(part.size), *values], [0, name, 0, size, *widths], "  ")
        )
    return lines


def _length(text: str) -> int:
    return cell_len(clean(text))


def _classes(counts: dict[str, int], most: int = 8) -> str:
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    shown = ordered if len(ordered) <= most else ordered[: most - 2]
    text = ", ".join(f"{_shorten(clean(label), 24)} {number}" for label, number in shown)
    rest = [number for _, number in ordered[len(shown) :]]
    if rest:
        text += (
            f", {len(rest)} more with {min(rest)} to {max(rest)}"
            if min(rest) < max(rest)
            else (f", {len(rest)} more with {rest[0]}")
        )
    return text


def _line(cells: list[str], widths: list[int], gap: str) -> str:
    """A table with the mark and the method left-aligned, numbers right-aligned."""
    parts = []
    for i, (cell, width) in enumerate(zip(cells, widths)):
        cell = _shorten(cell, width)
        blank = " " * (width - cell_len(cell))
        parts.append(cell + blank if i < 3 else blank + cell)
    return gap.join(parts)


def _shorten(text: str, width: int) -> str:
    return text if cell_len(text) <= width else set_cell_size(text, max(width - 1, 0)).rstrip() + "…"


def _wrap(text: str, first: str = "", rest: str = "") -> list[str]:
    """Wraps to `WIDTH` columns; names are not broken at hyphens, so that they can be copied."""
    return textwrap.wrap(clean(text), WIDTH, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False) or [
        first
    ]
