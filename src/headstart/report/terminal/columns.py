"""Text tables with aligned columns."""

from __future__ import annotations

from collections.abc import Collection, Sequence


def aligned(rows: Sequence[Sequence[str]], left: Collection[int] = (0,)) -> list[str]:
    """One line per row; the columns `left` are left-aligned (negative ones count from the end), the others right."""
    count = len(rows[0])
    words = {place % count for place in left}
    widths = [max(len(row[i]) for row in rows) for i in range(count)]
    return [
        "  ".join(c.ljust(w) if i in words else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths))).rstrip()
        for row in rows
    ]
