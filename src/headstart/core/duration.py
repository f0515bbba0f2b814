"""Spans of time as people write them."""

from __future__ import annotations

import re

from headstart.core.errors import ConfigurationError

UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}


def seconds_of(text: str | float) -> float:
    """`"90s"`, `"10m"`, `"1.5h"` or a number of seconds; above 0."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*([a-z]*)\s*", str(text))
    unit = UNITS.get(found[2]) if found else None
    seconds = float(found[1]) * unit if found and unit else 0.0
    if seconds <= 0:
        raise ConfigurationError(
            f"a time is written as 90s, 10m, 1.5h or a number of seconds, above 0; {text!r} is something else."
        )
    return seconds
