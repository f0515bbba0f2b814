"""Image decoding: one rule per data set for grey levels and transparency to 8-bit RGB, saved with its models."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from headstart.core.records.decoding import Decoding

INTEGER_TOPS = (255, 1_023, 4_095, 16_383, 65_535)
"largest values of 8-, 10-, 12-, 14- and 16-bit grey levels"
FLOAT_TOPS = (1.0, *INTEGER_TOPS)
FULL = 0.5
"minimum share of 0 … top that a data set must fill for this scale; a narrower one is stretched"
BACKGROUNDS = (255, 0, 128)
"background grey levels for transparent pixels, the preferred one first"
BLANK = 8
"minimum range of a channel, of 255; images with less in all channels are one colour to a model"
ALPHA = ("RGBA", "LA", "PA", "RGBa", "La")


def rgb(image: Image.Image, by: Decoding) -> Image.Image:
    """A decoded Pillow image of any mode as RGB."""
    if is_deep(image):
        return Image.fromarray(levels(np.asarray(image), by), mode="L").convert("RGB")
    if image.mode in ALPHA or "transparency" in image.info:
        clear = image.convert("RGBA")
        level = visible_on(clear)[0] if by.background is None else by.background
        return over(clear, level)
    return image if image.mode == "RGB" else image.convert("RGB")


def levels(values: np.ndarray, by: Decoding) -> np.ndarray:
    """Grey levels of any number type and shape as uint8. Missing values (NaN) are the lowest."""
    given = by.floats if values.dtype.kind == "f" else by.integers
    low, high = given or _alone(values)
    wide = values.dtype.itemsize >= 4 and values.dtype.kind != "f"  # float32 has 24 bits for integers
    scaled: Any = values.astype(np.float64 if wide else np.float32)
    np.nan_to_num(scaled, copy=False, nan=low, posinf=high, neginf=low)
    scaled -= low
    scaled *= 255.0 / (high - low) if high > low else 0.0
    found: np.ndarray = np.rint(np.clip(scaled, 0.0, 255.0, out=scaled), out=scaled).astype(np.uint8)
    return found


def is_deep(image: Image.Image) -> bool:
    """True for a greyscale image of more than 8 bits."""
    return image.mode.startswith("I") or image.mode == "F"


def over(clear: Image.Image, level: int) -> Image.Image:
    """An RGBA image over a plain background, as RGB."""
    return Image.alpha_composite(Image.new("RGBA", clear.size, (level, level, level, 255)), clear).convert("RGB")


def spread(image: Image.Image) -> int:
    """Largest difference within one of the channels, 0 to 255."""
    extrema = image.getextrema()
    pairs = extrema if isinstance(extrema[0], tuple) else (extrema,)
    return max(int(high - low) for low, high in pairs)  # type: ignore[misc]


def visible_on(clear: Image.Image) -> tuple[int, ...]:
    """Backgrounds on which an RGBA image is not one colour; all of them if there is none."""
    return tuple(level for level in BACKGROUNDS if spread(over(clear, level)) >= BLANK) or BACKGROUNDS


def span(low: float, high: float, tops: Sequence[float]) -> tuple[float, float]:
    """Grey-level range for scaling: 0 … top if the data fill it, else low … high.

    low, high: range of the data set without outliers. tops: largest values of common formats.
    """
    top = next((float(top) for top in tops if high <= top), math.inf)
    return (0.0, top) if low >= 0 and high - low >= FULL * top else (low, high)


def settled(
    integers: Sequence[tuple[float, ...]], floats: Sequence[tuple[float, ...]], backgrounds: Sequence[tuple[int, ...]]
) -> Decoding:
    """The rule of a data set.

    integers, floats: (lowest, highest, 0.1th, 99.9th percentile) of each picture with such grey levels.
    backgrounds: for each image with transparent pixels, those that keep it visible; the one that keeps most is chosen.
    """
    level = max(BACKGROUNDS, key=lambda one: sum(one in seen for seen in backgrounds)) if backgrounds else None
    return Decoding(_range(integers, INTEGER_TOPS), _range(floats, FLOAT_TOPS), level)


def _range(ends: Sequence[tuple[float, ...]], tops: Sequence[float]) -> tuple[float, ...]:
    """Range of all images without the 1 % with the lowest and highest values.

    If single pixels (markers, dead sensors) widen it more than sixteenfold, the range of the other pixels counts.
    """
    if not ends:
        return ()
    lowest, highest, first, last = np.array(ends, dtype=np.float64).T
    low, high = float(np.quantile(lowest, 0.01)), float(np.quantile(highest, 0.99))
    inner_low, inner_high = float(np.quantile(first, 0.01)), float(np.quantile(last, 0.99))
    if 0 < inner_high - inner_low < (high - low) / 16:
        low, high = inner_low, inner_high
    return span(low, high, tops) if high > low else ()


def _alone(values: np.ndarray) -> tuple[float, float]:
    """Range of a single image: 0 … the next top, or its own range if it has negative levels."""
    finite = values[np.isfinite(values)] if values.dtype.kind == "f" else values
    if not finite.size:
        return 0.0, 1.0
    low, high = float(finite.min()), float(finite.max())
    tops = FLOAT_TOPS if values.dtype.kind == "f" else INTEGER_TOPS
    top = next((top for top in tops if high <= top), None)
    return (low, high) if low < 0 or top is None else (0.0, float(top))
