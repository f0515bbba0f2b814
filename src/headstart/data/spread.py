"""A sample spread over a stream of rows: every k-th, where k doubles as the stream turns out longer."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Generic, TypeVar

from headstart.data.table import SAMPLE

LOOKED_AT = 1_000_000
"rows after which no more are looked at"

T = TypeVar("T")


class Spread(Generic[T]):
    """rows: between SAMPLE and 2 SAMPLE of a longer stream, evenly spaced over it, the first among them; else all.

    The first rows alone would mislead: many files are sorted by their label.
    """

    def __init__(self, stream: Iterable[T]) -> None:
        self.rows: list[T] = []
        step = 1
        for at, row in enumerate(itertools.islice(stream, LOOKED_AT)):
            if at % step == 0:
                self.rows.append(row)
                if len(self.rows) > 2 * SAMPLE:
                    self.rows, step = self.rows[::2], 2 * step
