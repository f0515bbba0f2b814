"""Durations as users write and read them."""

from __future__ import annotations

import re

from headstart.core.errors import ConfigurationError

UNITS = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}


def seconds_of(text: str | float) -> float:
    """Seconds of `"90s"`, `"10m"`, `"1.5h"` or, from Python, of a number of seconds.

    Raises `ConfigurationError` for anything else, for a text without a unit, and for 0 or less.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*([a-z]*)\s*", str(text))
    if found and not found[2] and isinstance(text, str):
        raise ConfigurationError(f"a time needs a unit: {found[1]}s, {found[1]}m or {found[1]}h.")
    unit = UNITS.get(found[2] or "s") if found else None
    seconds = float(found[1]) * unit if found and unit else 0.0
    if seconds <= 0:
        raise ConfigurationError(f"a time above 0 is written as 90s, 10m or 1.5h; {text!r} is something else.")
    return seconds


def span(seconds: float) -> str:
    """A duration as text: `45 s`, `12 min`, `1.5 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def length(epochs: float, examples: int) -> str:
    """Length of a training as text: `1 epoch`, `2.5 epochs`; below one epoch, `1 pass over 320 examples`."""
    if round(epochs, 1) == 1:
        return "1 epoch"
    return f"{epochs:.2g} epochs" if epochs > 1 else f"1 pass over {examples:,} examples"
