"""Numbers as text for readers. Every function turns None and NaN into `–`."""

from __future__ import annotations

import math
from typing import Any

MISSING = "–"
MOST_NEEDED = 100_000
"maximum number of examples shown as an estimate"

PERCENT = ("accuracy", "f1", "precision", "recall", "auroc", "roc_auc", "error_rate", "exact_match", "hit_rate",
           "tolerant_match", "stopped", "abstained")  # fmt: skip
"words in the names of metrics that lie in [0, 1] and are shown in percent"

NAMES = {
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "entity_f1": "Entity F1",
    "macro_f1": "Macro F1",
    "micro_f1": "Micro F1",
    "f1": "F1",
    "mcc": "Matthews correlation",
    "auroc": "AUROC",
    "average_precision": "Average precision",
    "r2": "R²",
    "mae": "Mean absolute error",
    "mse": "Mean squared error",
    "rmse": "Root mean squared error",
    "log_loss": "Log loss",
    "brier": "Brier score",
    "ece": "Calibration error",
    "exact_match": "Exact match",
    "tolerant_match": "Tolerant match",
    "stopped": "Stopped by itself",
    "bits_per_byte": "Bits per byte",
}


def finite(number: float | None) -> float | None:
    """The number, or None if it is missing, NaN or infinite."""
    return None if number is None or not math.isfinite(number) else float(number)


def is_percent(metric: str) -> bool:
    return any(part in metric.lower() for part in PERCENT)


def metric_name(metric: str) -> str:
    if metric.endswith("_change"):
        return f"{metric_name(metric.removesuffix('_change'))}, change"
    return NAMES.get(metric, metric.replace("_", " "))


def metric_heading(metric: str) -> str:
    """`Accuracy, %`."""
    return f"{metric_name(metric)}, %" if is_percent(metric) else metric_name(metric)


def value(metric: str, number: float | None, signed: bool = False) -> str:
    """A metric's value: `96.1` for 0.961 if the metric is a share, else three decimals or four digits."""
    number = finite(number)
    if number is None:
        return MISSING
    sign = "+" if signed else ""
    if is_percent(metric):
        text = f"{100 * number:{sign}.1f}"
    elif abs(number) < 10:
        text = f"{number:{sign}.3f}"
    elif abs(number) < 1000:
        text = f"{number:{sign}.1f}"
    else:
        text = f"{number:{sign}.0f}" if abs(number) < 1e6 else f"{number:{sign}.3g}"
    return text.replace("-", "", 1) if text.startswith("-") and not text.strip("-0.") else text


def interval(metric: str, low: float | None, high: float | None) -> str:
    """`[95.0, 97.2]`, or `""` if an end is missing."""
    if finite(low) is None or finite(high) is None:
        return ""
    return f"[{value(metric, low)}, {value(metric, high)}]"


def p_value(number: float | None) -> str:
    number = finite(number)
    if number is None:
        return MISSING
    if number < 0.001:
        return "<0.001"
    return f"{number:.3f}" if number < 0.1 else f"{number:.2f}"


def p_equals(number: float | None) -> str:
    """`p = 0.012`, `p < 0.001`."""
    text = p_value(number)
    return f"p < {text[1:]}" if text.startswith("<") else f"p = {text}"


def count(number: float | None) -> str:
    """`0`, `999`, `1.2k`, `66.4M`, `7.1B`."""
    number = finite(number)
    if number is None:
        return MISSING
    for limit, unit in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(number) >= limit * 0.99995:
            return f"{number / limit:.1f}{unit}"
    return f"{number:.0f}"


def needed(number: int) -> str:
    """`about 1.7k` examples; `more than 100k` beyond, where the estimate is too uncertain."""
    return f"more than {MOST_NEEDED // 1000}k" if number > MOST_NEEDED else f"about {count(number)}"


def whole(number: float | None) -> str:
    """All digits, grouped: `1,234,567`."""
    number = finite(number)
    return MISSING if number is None else f"{number:,.0f}"


def counted(number: int, noun: str) -> str:
    """`1 seed`, `3 seeds`, `1,200 examples`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def seeds(number: int) -> str:
    """`mean over 3 seeds`; `one seed`."""
    return "one seed" if number == 1 else f"mean over {counted(number, 'seed')}"


def margin(metric: str, number: float | None) -> str:
    """A margin or a threshold: `1 point`, `0.5 points`, `0.012 in Root mean squared error`."""
    number = finite(number)
    if number is None:
        return MISSING
    if not is_percent(metric):
        return f"{number:.3g} in {metric_name(metric)}"
    return f"{100 * number:.3g} point{'' if math.isclose(number, 0.01) else 's'}"


def share(number: float | None) -> str:
    """A share of 1 as percent: `5.3%`, `0.04%`, `100%`."""
    number = finite(number)
    if number is None:
        return MISSING
    percent = 100 * number
    if percent == 0 or percent >= 99.95:
        return f"{percent:.0f}%"
    if percent < 0.01:
        return "<0.01%"
    return f"{percent:.2f}%" if percent < 0.1 else f"{percent:.1f}%"


def size(number: float | None, space: str = " ") -> str:
    """Bytes in decimal units: `820 B`, `1.2 MB`."""
    number = finite(number)
    if number is None:
        return MISSING
    for limit, unit in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if number >= limit * 0.9995:
            scaled = number / limit
            return f"{scaled:.0f}{space}{unit}" if scaled >= 99.95 else f"{scaled:.1f}{space}{unit}"
    return f"{number:.0f}{space}B"


def seconds(number: float | None, space: str = " ") -> str:
    """A time: `850 µs`, `12 ms`, `4.2 s`, `3m 05s`, `1h 12m`."""
    number = finite(number)
    if number is None:
        return MISSING
    if number == 0:
        return f"0{space}s"
    if number < 0.9995e-3:
        return f"{number * 1e6:.0f}{space}µs"
    if number < 0.9995:
        return f"{number * 1e3:.0f}{space}ms" if number >= 0.00995 else f"{number * 1e3:.1f}{space}ms"
    if number < 59.95:
        return f"{number:.1f}{space}s"
    minutes, rest = divmod(round(number), 60)
    if minutes < 60:
        return f"{minutes}m{space}{rest:02d}s"
    hours, minutes = divmod(round(number / 60), 60)
    return f"{hours}h{space}{minutes:02d}m"


def learning_rate(number: float | None) -> str:
    """`2e-4`, `1.5e-3`, `0`."""
    number = finite(number)
    if number is None:
        return MISSING
    if number == 0:
        return "0"
    mantissa, exponent = f"{number:.1e}".split("e")
    return f"{mantissa.removesuffix('.0')}e{int(exponent)}"


def setting(item: Any, name: str = "") -> str:
    """A setting on one line; learning rates, recognised by `name`, as `3e-4`."""
    if isinstance(item, float) and (name == "lr" or "learning_rate" in name):
        return learning_rate(item)
    if item is None:
        return MISSING
    if isinstance(item, bool):
        return "yes" if item else "no"
    if isinstance(item, float):
        return learning_rate(item) if item and (abs(item) < 0.001 or abs(item) >= 1e6) else f"{item:g}"
    if isinstance(item, (list, tuple)):
        return ", ".join(setting(part) for part in item) or MISSING
    if isinstance(item, dict):
        return ", ".join(f"{key}={setting(part)}" for key, part in item.items()) or MISSING
    return str(item)
