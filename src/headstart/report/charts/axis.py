"""Scales and ticks of the page's charts: numbers to pixels."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Tick:
    position: float
    label: str


@dataclass(frozen=True)
class Axis:
    """Maps `low … high` to the pixels `start … end`, linearly or logarithmically."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, number: float) -> float:
        low, high, x = (
            (math.log10(v) for v in (self.low, self.high, number)) if self.log else (self.low, self.high, number)
        )
        return round(self.start + (x - low) / (high - low) * (self.end - self.start), 2)

    def ticks(self, label: Callable[[float], str], most: int = 6, time: bool = False) -> list[Tick]:
        """Round numbers on the axis; with `time`, round seconds, minutes and hours."""
        steps = time_steps if time else log_steps if self.log else linear_steps
        numbers = steps(self.low, self.high, most)
        return [Tick(self(number), label(number)) for number in numbers]


def linear(numbers: Iterable[float], start: float, end: float, margin: float = 0.06, floor: float = 1e-9) -> Axis:
    """A linear axis around the numbers, with a margin on both sides."""
    numbers = list(numbers)
    low, high = (min(numbers), max(numbers)) if numbers else (0.0, 1.0)
    room = (high - low) * margin or max(abs(high) * 0.05, floor)
    return Axis(low - room, high + room, start, end)


def logarithmic(numbers: Iterable[float], start: float, end: float, margin: float = 0.07) -> Axis:
    """A logarithmic axis around the positive numbers, at least half a power of 10 wide."""
    numbers = [number for number in numbers if number > 0] or [1.0]
    low, high = math.log10(min(numbers)), math.log10(max(numbers))
    if high - low < 0.5:
        middle = (low + high) / 2
        low, high = min(low, middle - 0.25), max(high, middle + 0.25)
    room = (high - low) * margin
    return Axis(10 ** (low - room), 10 ** (high + room), start, end, log=True)


def linear_steps(low: float, high: float, most: int) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of 10 within the axis, `most` at most."""
    raw = (high - low) / max(most, 1)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw * 0.999999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(i * step, 12) for i in range(first, last + 1)]


def log_steps(low: float, high: float, most: int) -> list[float]:
    """Powers of 10 within the axis, with 3 (or 2 and 5, or more) between them if there is room."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    best: list[float] = []
    for factors in ((1, 1.5, 2, 3, 5, 7), (1, 2, 5), (1, 3), (1,)):
        best = [f * 10.0**p for p in range(first, last + 1) for f in factors if low <= f * 10.0**p <= high]
        if len(best) <= most:
            return best
    return best[:: math.ceil(len(best) / most)]


def time_steps(low: float, high: float, most: int) -> list[float]:
    """Round durations (10 s, 1 min, 1 h) within a logarithmic axis; powers of 10 below one second."""
    ladders = (
        (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 18000, 36000, 86400),
        (1, 3, 10, 30, 60, 180, 600, 1800, 3600, 10800, 36000, 86400),
        (1, 10, 60, 600, 3600, 36000),
    )
    below = log_steps(low, min(high, 0.999), most) if low < 0.999 else []
    if high > 86400 * 10:
        return log_steps(low, high, most)
    for ladder in ladders:
        found = below + [float(step) for step in ladder if low <= step <= high]
        if len(found) <= most:
            break
    return found if len(found) >= 2 else log_steps(low, high, most)
