"""Label placement in a scatter plot: beside the points, without overlap with labels, points and intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

HEIGHT = 13.0


@dataclass(frozen=True)
class Box:
    left: float
    top: float
    right: float
    bottom: float

    def overlap(self, other: Box) -> float:
        """Overlap of two boxes, in square pixels."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.bottom, other.bottom) - max(self.top, other.top)
        return max(width, 0.0) * max(height, 0.0)


@dataclass(frozen=True)
class Label:
    """A placed label. x, y: anchor on the text's baseline; line: from the point to a far label, or None."""

    text: str
    x: float
    y: float
    anchor: str = "start"
    "SVG's `text-anchor`: the end that faces the point, so that a wrong width estimate does no harm"
    line: tuple[float, float, float, float] | None = None


def text_width(text: str, size: float = 11.5) -> float:
    """Width estimate for a sans-serif font, rather too wide."""
    return sum(0.34 if c in "iljtfr.,:;'|! " else 0.95 if c in "mwMW" or ord(c) > 0x2000 else 0.58 for c in text) * size


def place(texts: Sequence[str], points: Sequence[tuple[float, float]], bars: Sequence[Box], frame: Box) -> list[Label]:
    """Places one label per point: crowded points first, each label at the nearest free place.

    bars: boxes to avoid (the intervals). frame: area to stay within.
    """
    dots = [Box(x - 6, y - 6, x + 6, y + 6) for x, y in points]
    crowd = [sum(math.hypot(x - a, y - b) < 60 for a, b in points) for x, y in points]
    taken: list[Box] = []
    labels: dict[int, Label] = {}
    for i in sorted(range(len(points)), key=lambda i: (-crowd[i], points[i])):
        width = text_width(texts[i])
        others = [dot for j, dot in enumerate(dots) if j != i]
        best: tuple[float, Box] | None = None
        for box, distance in _candidates(points[i], width, dots[i]):
            cost = distance + 4.0 * sum(box.overlap(other) for other in taken)
            cost += 2.0 * sum(box.overlap(other) for other in others) + 0.8 * sum(box.overlap(bar) for bar in bars)
            area = (box.right - box.left) * (box.bottom - box.top)
            cost += 10.0 * (area - box.overlap(frame))
            if best is None or cost < best[0] - 1e-9:
                best = (cost, box)
        assert best is not None
        taken.append(best[1])
        labels[i] = _label(texts[i], best[1], points[i])
    return [labels[i] for i in range(len(points))]


def _candidates(point: tuple[float, float], width: float, dot: Box) -> list[tuple[Box, float]]:
    """Candidate boxes around the point with their penalties: the usual places first, then wider rings."""
    x, y = point
    found = []
    for ring, reach in enumerate((0.0, 14.0, 28.0, 44.0, 62.0, 84.0)):
        for step in range(16):
            angle = 2 * math.pi * step / 16
            dx, dy = math.cos(angle), math.sin(angle)
            middle_x = x + dx * (9 + reach + width / 2)
            middle_y = y + dy * (8 + reach + HEIGHT / 2)
            if abs(dx) < 0.3:  # no width here, because text above and below is centred
                middle_x = x + dx * width / 2
            box = Box(middle_x - width / 2, middle_y - HEIGHT / 2, middle_x + width / 2, middle_y + HEIGHT / 2)
            side = 0.0 if step == 0 else 3.0 if step in (4, 12) else 2.0 if step == 8 else 5.0
            found.append((box, 14.0 * ring + side + 2.0 * box.overlap(dot)))
    return found


def _label(text: str, box: Box, point: tuple[float, float]) -> Label:
    x, y = point
    near_x, near_y = min(max(x, box.left), box.right), min(max(y, box.top + 2), box.bottom - 2)
    distance = math.hypot(near_x - x, near_y - y)
    line = None
    if distance > 16:
        start_x, start_y = x + (near_x - x) * 7 / distance, y + (near_y - y) * 7 / distance
        line = (round(start_x, 1), round(start_y, 1), round(near_x, 1), round(near_y, 1))
    anchor = "start" if box.left > x else "end" if box.right < x else "middle"
    at = {"start": box.left, "end": box.right, "middle": (box.left + box.right) / 2}[anchor]
    return Label(text, round(at, 1), round(box.bottom - 3, 1), anchor, line)
