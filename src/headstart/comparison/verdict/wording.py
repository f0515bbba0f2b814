"""Values, differences and durations as text of the verdict."""

from __future__ import annotations

import math

from headstart.core.records.comparison import Row
from headstart.stats.metrics import Metric

NAMES = {"entity_f1": "entity F1",
         "macro_f1": "macro-F1", "micro_f1": "micro-F1", "rmse": "RMSE", "mae": "MAE", "r2": "R²", "ece": "ECE",
         "auroc": "AUROC", "f1": "F1"}  # fmt: skip


def name(metric: Metric) -> str:
    return NAMES.get(metric.name, metric.name.replace("_", " "))


def number(value: float, metric: Metric, sign: str = "") -> str:
    """A value as text: `95.6` if the metric is a percentage, else three digits."""
    if metric.percent:
        return format(100 * value, f"{sign}.1f")
    return format(value, f"{sign}#.3g" if abs(value) < 100 else f"{sign},.0f")


def amount(value: float, metric: Metric) -> str:
    """`5.0 points`, `0.0620 in RMSE`."""
    return f"{number(value, metric)} points" if metric.percent else f"{number(value, metric)} in {name(metric)}"


def margin(value: float, metric: Metric) -> str:
    """`1 point`, `0.5 points`, `0.0120 in RMSE`."""
    if not metric.percent:
        return amount(value, metric)
    return f"{100 * value:.3g} point{'' if math.isclose(value, 0.01) else 's'}"


def bounds(low: float | None, high: float | None, metric: Metric, sign: str = "") -> str:
    """` [94.2, 96.9]` with a leading blank; `""` if an end is missing."""
    if low is None or high is None or math.isnan(low) or math.isnan(high):
        return ""
    return f" [{number(low, metric, sign)}, {number(high, metric, sign)}]"


def reading(value: float | None, low: float | None, high: float | None, metric: Metric) -> str:
    """`95.6 % accuracy [94.2, 96.9]`, `RMSE 0.494 [0.480, 0.507]`."""
    told = number(value or 0.0, metric)
    return (f"{told} % {name(metric)}" if metric.percent else f"{name(metric)} {told}") + bounds(low, high, metric)


def difference(value: float | None, low: float | None, high: float | None, metric: Metric) -> str:
    """`-0.4 points [-1.3, +0.5]`."""
    unit = " points" if metric.percent else ""
    return number(value or 0.0, metric, "+") + unit + bounds(low, high, metric, "+")


def training(row: Row) -> str:
    """`, 38 s of training`; `""` if the duration is unknown."""
    return "" if row.train_seconds is None else f", {seconds(row.train_seconds)} of training"


def seconds(value: float) -> str:
    if value < 10:
        return f"{max(value, 0.01):.2g} s"
    if value < 120:
        return f"{value:.0f} s"
    return f"{value / 60:.0f} min" if value < 7200 else f"{value / 3600:.1f} h"


def about(count: int) -> str:
    """A number of examples to two digits: `2,400`."""
    digits = max(0, len(str(count)) - 2)
    return f"{math.ceil(count / 10**digits) * 10**digits:,}"


def listed(names: list[str], most: int = 6) -> str:
    """`a, b and c`; only the first of many."""
    if len(names) > most:
        return f"{', '.join(names[:most])} and {len(names) - most} more"
    return " and ".join([*([", ".join(names[:-1])] if names[:-1] else []), *names[-1:]])
