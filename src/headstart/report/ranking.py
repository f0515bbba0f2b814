"""The order of methods in tables, and the marks on them."""

from __future__ import annotations

from headstart.core.records.comparison import Comparison, Row
from headstart.report.format import finite


def ranked(comparison: Comparison) -> list[Row]:
    """Rows with the best value first and rows without a value last; ties keep the record's order."""
    sign = -1.0 if comparison.task.higher_is_better else 1.0

    def key(row: Row) -> tuple[int, float]:
        number = finite(row.value)
        if number is not None:
            return (0 if row.status == "ok" else 1, sign * number)
        return (2 if row.status == "ok" else 3, 0.0)

    return sorted(comparison.rows, key=key)


def chosen(comparison: Comparison, row: Row) -> bool:
    return comparison.verdict.method == row.method


def also(comparison: Comparison) -> list[str]:
    """Names of the additional metrics."""
    return list(dict.fromkeys(score.metric for row in comparison.rows for score in row.also))


def prompted(comparison: Comparison) -> bool:
    """True if a method asks by a prompt, so that tokens are a cost."""
    return any(row.tokens_out for row in comparison.rows)


def is_reference(comparison: Comparison, row: Row) -> bool:
    return comparison.verdict.reference == row.method


def is_cheapest(comparison: Comparison, row: Row) -> bool:
    """True if it is the cheapest non-inferior method and another one is recommended."""
    return comparison.verdict.cheapest == row.method and not chosen(comparison, row)


def is_stopped(row: Row) -> bool:
    """True if a race stopped its training early; its value is then that of the shorter training."""
    return row.stopped is not None and row.status != "ok"


def p_shown(row: Row) -> float | None:
    """The corrected p-value if there is one, else the plain one."""
    adjusted = finite(row.p_adjusted)
    return finite(row.p_value) if adjusted is None else adjusted


def status_kind(row: Row) -> str:
    """The first word of the status, for a mark or a CSS class: `ok`, `diverged`, `failed`, `stopped`, `skipped`."""
    head = row.status.partition(":")[0].strip().lower()
    return head if head in ("ok", "diverged", "failed", "stopped") else "skipped"
