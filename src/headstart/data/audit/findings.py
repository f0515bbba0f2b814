"""Findings of reading and of the audit, collected by kind, with a count and the first places."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from headstart.core.records.data import Finding

Severity = Literal["error", "warning", "note"]
SHOWN = 5
_ORDER = {"error": 0, "warning": 1, "note": 2}


def rows(count: int) -> str:
    """`1 row`, `2 rows`."""
    return f"{count:,} row" if count == 1 else f"{count:,} rows"


class Findings:
    """Collects findings, one entry per (kind, message); `{rows}` in a message becomes the count.

    left_out: number of rows of the source that were not stored.
    """

    def __init__(self) -> None:
        self._counts: dict[tuple[str, Severity, str], int] = {}
        self._places: dict[tuple[str, Severity, str], list[str]] = {}
        self.left_out = 0

    def add(
        self, kind: str, severity: Severity, message: str, places: Iterable[str] = (), count: int | None = None
    ) -> None:
        """Adds `count` (default: the number of `places`) to the finding; keeps its first `SHOWN` places."""
        key, given = (kind, severity, message), list(places)
        self._counts[key] = self._counts.get(key, 0) + (len(given) if count is None else count)
        kept = self._places.setdefault(key, [])
        kept.extend(given[: SHOWN - len(kept)] if len(kept) < SHOWN else [])

    def leave_out(self, kind: str, message: str, place: str) -> None:
        """One row of the source that can't be used."""
        self.left_out += 1
        self.add(kind, "error", message, [place])

    def count(self, kind: str, message: str | None = None) -> int:
        """Number of all of this kind, or of those with this message."""
        return sum(number for key, number in self._counts.items() if key[0] == kind and message in (None, key[2]))

    def places(self, kind: str) -> list[str]:
        return [place for key, kept in self._places.items() if key[0] == kind for place in kept][:SHOWN]

    def records(self) -> tuple[Finding, ...]:
        """All findings, errors first."""
        found = [
            Finding(kind, severity, message.replace("{rows}", rows(count)), count, tuple(self._places[key]))
            for key, count in self._counts.items()
            for kind, severity, message in [key]
        ]
        return tuple(sorted(found, key=lambda finding: _ORDER[finding.severity]))

    def errors(self) -> str:
        """The errors as text for a message: `2 rows without a label, left out (a.csv:2, a.csv:3).`"""
        found = [finding for finding in self.records() if finding.severity == "error"]
        where = [f" ({', '.join(e.examples)})" if e.examples else "" for e in found]
        return " ".join(f"{e.message}{places}." for e, places in zip(found[:4], where))
