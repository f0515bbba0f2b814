"""Small data made on the spot."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image


def texts(count: int, classes: Sequence[object] = ("no", "yes")) -> list[list[object]]:
    """Rows of distinct texts, classes in turn."""
    rng = np.random.default_rng(0)
    words = ["".join(rng.choice(list("abcdefghij"), 6)) for _ in range(300)]
    return [[" ".join(rng.choice(words, 12)) + f" {at}", classes[at % len(classes)]] for at in range(count)]


def image(seed: int, form: str = "PNG", size: tuple[int, int] = (24, 24)) -> bytes:
    """A picture of smooth patches, different for each seed."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 255, (6, 6, 3), dtype=np.uint8))
    out = io.BytesIO()
    small.resize(size, Image.Resampling.BICUBIC).save(out, form)
    return out.getvalue()


def kinds(data: Any) -> dict[str, int]:
    """Finding kinds with their counts."""
    found: dict[str, int] = {}
    for finding in data.record.findings:
        found[finding.kind] = found.get(finding.kind, 0) + finding.count
    return found


def finding(data: Any, kind: str) -> Any:
    return next(f for f in data.record.findings if f.kind == kind)
