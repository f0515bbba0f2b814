"""Outlook: number of the current training, and the remaining time of all."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from headstart.core.progress import Progress


@dataclass(eq=False)
class Outlook:
    """Expected trainings of each method in order, with their forecast durations in seconds."""

    progress: Progress
    methods: int
    "number of rows of the comparison"
    _expected: dict[str, list[float]] = field(default_factory=dict, init=False)
    _begun: Counter[str] = field(default_factory=Counter, init=False)
    _forecast: float = 0.0
    _taken: float = 0.0

    def expect(self, name: str, seconds: float, count: int = 1) -> None:
        self._expected.setdefault(name, []).extend([seconds] * count)

    @contextlib.contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Around a training of this method; one that fails does not count for the pace."""
        self.begins(name)
        start = time.perf_counter()
        yield
        self.ended(name, time.perf_counter() - start)

    def begins(self, name: str) -> None:
        """Marks the start of a training of this method."""
        self._begun[name] += 1
        place = list(self._begun).index(name) + 1
        each = self._expected.get(name, [])
        of = f", training {self._begun[name]} of {len(each)}" if self._begun[name] <= len(each) else ""
        self.progress.whole(f"method {place} of {self.methods}{of}", self.left(name))

    def left(self, running: str = "") -> float | None:
        """Remaining seconds of the expected trainings, at the pace so far; None if none are expected."""
        open_ones = [s for name, each in self._expected.items() for s in each[self._begun[name] - (name == running) :]]
        pace = self._taken / self._forecast if self._forecast else 1.0
        return pace * sum(open_ones) if open_ones else None

    def ended(self, name: str, seconds: float) -> None:
        """Marks the end of the training, with its duration in seconds."""
        each = self._expected.get(name, [])
        if 0 < self._begun[name] <= len(each):
            self._forecast += each[self._begun[name] - 1]
            self._taken += seconds
