"""Cells as texts: numbers become texts, and lone surrogates, which JSON can write but UTF-8 can't, become `?`."""

from __future__ import annotations

import math
from typing import Any

LONGEST = 1_000_000
"characters; longer texts are left out, because they mostly come from an open quote"


def text_of(value: Any) -> str | None:
    """A cell as text: `""` if missing, None for lists and objects."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "replace").decode()
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, (bool, int, float)):
        return str(value)
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else None
