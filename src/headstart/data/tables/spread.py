"""Samples spread over all rows, because many files are sorted by label and their first rows mislead."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Generic, TypeVar

import numpy as np

from headstart.data.tables.table import SAMPLE

LOOKED_AT = 1_000_000
"maximum number of rows of a stream that are considered"
_MIX = 0x9E3779B97F4A7C15

T = TypeVar("T")


class Spread(Generic[T]):
    """Sample of a stream: all rows up to 2 SAMPLE, else between SAMPLE and 2 SAMPLE of them, roughly evenly spaced.

    A row is kept by a hash of its number, where one more bit must be zero whenever the sample is too large. Not every
    k-th row, because that would miss values that alternate.
    """

    def __init__(self, stream: Iterable[T]) -> None:
        kept: list[tuple[int, T]] = []
        bits = 0
        for at, row in enumerate(itertools.islice(stream, LOOKED_AT)):
            if (mark := _mark(at)) & bits == 0:
                kept.append((mark, row))
                if len(kept) > 2 * SAMPLE:
                    bits = 2 * bits + 1
                    kept = [(mark, row) for mark, row in kept if mark & bits == 0]
        self.rows: list[T] = [row for _, row in kept]


def _mark(at: int) -> int:
    return (at * _MIX & 0xFFFFFFFFFFFFFFFF) >> 32


def positions(count: int) -> np.ndarray:
    """Row numbers of such a sample for a known number of rows."""
    step = -(-count // LOOKED_AT) or 1
    return np.fromiter(Spread(range(0, count, step)).rows, dtype=np.int64)
