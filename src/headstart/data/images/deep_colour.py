"""16-bit colours in PNG and TIFF, because Pillow keeps only the upper 8 bits."""

from __future__ import annotations

import io
import sys
from typing import Any

import numpy as np
from PIL import Image

_NATIVE = "L" if sys.byteorder == "little" else "B"
_OTHER_ORDER = {
    f"{mode};16{order}": f"{mode};16{'B' if (_NATIVE if order == 'N' else order) == 'L' else 'L'}"
    for mode in ("RGB", "RGBA")
    for order in "LBN"
}
"Pillow's names of byte orders, each with the order that reads the lower bytes as the upper ones"
_GREY_ALPHA = "LA;16B"


def deep_levels(data: bytes) -> np.ndarray | None:
    """[H, W, C] uint16 of a 16-bit image with colours or alpha; None for other images.

    Reads the image twice, once with swapped bytes, because Pillow only keeps the upper byte, which may be zero.
    """
    is_png = data[:4] == b"\x89PNG"
    if data[24:25] != b"\x10" if is_png else data[:4] not in (b"II*\0", b"MM\0*"):
        return None  # checks a few bytes first, because this runs for every image
    upper, lower = Image.open(io.BytesIO(data)), Image.open(io.BytesIO(data))
    name = _rawmode(upper)
    if name == _GREY_ALPHA:  # four bytes a pixel, as RGBA has
        lower.tile = [_with_rawmode(tile, "RGBA") for tile in lower.tile]  # type: ignore[attr-defined]
        found = np.asarray(lower).astype(np.uint16)
        return found[..., ::2] << 8 | found[..., 1::2]
    if name not in _OTHER_ORDER:
        return None
    lower.tile = [_with_rawmode(tile, _OTHER_ORDER[name]) for tile in lower.tile]  # type: ignore[attr-defined]
    return np.asarray(upper).astype(np.uint16) << 8 | np.asarray(lower)


def holds_deep_colours(image: Image.Image) -> bool:
    """True if an opened, not yet loaded image has 16 bits per channel with colours or alpha."""
    return _rawmode(image) in (_GREY_ALPHA, *_OTHER_ORDER)


def _rawmode(image: Image.Image) -> str:
    """Pillow's name of the pixel layout in the file; empty for a loaded image, or if its tiles differ."""
    tiles = getattr(image, "tile", ())
    names = {tile.args if isinstance(tile.args, str) else str(tile.args[0]) if tile.args else "" for tile in tiles}
    return names.pop() if len(names) == 1 else ""


def _with_rawmode(tile: Any, name: str) -> Any:
    return tile._replace(args=name if isinstance(tile.args, str) else (name, *tile.args[1:]))
