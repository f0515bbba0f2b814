"""Images: encoded bytes to RGB, whatever they were saved as; broken and oversized ones become one named error."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from headstart.core.errors import DataError

MAX_PIXELS = 64_000_000
"pixels; a file whose header says more is not decoded, since a few bytes can unpack to gigabytes"


class TooLarge(DataError):
    """An image whose header gives more pixels than allowed."""


def decode(data: bytes, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """The image as 8-bit RGB, upright by its EXIF tag; 16 bits are scaled to 8, transparency lies over white.

    data: the file's bytes. max_pixels: width x height allowed, read from the header before decoding.
    Raises `TooLarge` beyond `max_pixels`, and `DataError` for what is no image or is cut short.
    """
    try:
        image = Image.open(io.BytesIO(data))
        width, height = image.size
        if width * height > max_pixels:
            raise TooLarge(f"the image has {width} x {height} pixels; at most {max_pixels:,} are decoded.")
        image.load()
        return _rgb(_upright(image))
    except DataError:
        raise
    except Image.DecompressionBombError as error:
        # Pillow's own limit, below which `max_pixels` decides.
        count = next(iter(re.findall(r"\d+", str(error))), "far too many")
        raise TooLarge(f"the image has {count} pixels; at most {max_pixels:,} are decoded.") from error
    except MemoryError as error:
        raise TooLarge("the image does not fit into memory") from error
    except UnidentifiedImageError as error:  # its own message shows an object's address
        raise DataError("the file is no image, or of a format that is not known here") from error
    except Exception as error:  # each of Pillow's decoders raises its own kinds on broken files
        raise DataError(f"the image can't be decoded: {error or type(error).__name__}") from error


def picture(value: bytes | str | Path | Image.Image) -> Image.Image:
    """What a user may give as an image, as `decode` does: encoded bytes, a file's path, or an image of Pillow's."""
    if isinstance(value, bytes):
        return decode(value)
    if not isinstance(value, (str, Path)):
        return value.convert("RGB")
    try:
        return decode(Path(value).read_bytes())
    except OSError as error:
        raise DataError(f"can't read the image {value}: {error.strerror}.") from error
    except DataError as error:
        raise type(error)(f"{value}: {error}") from error


def _upright(image: Image.Image) -> Image.Image:
    with contextlib.suppress(Exception):  # a broken EXIF block is no reason to lose a sound image
        return ImageOps.exif_transpose(image) or image
    return image


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":
        return _from_deep(image)
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        clear = image.convert("RGBA")
        white = Image.new("RGBA", clear.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, clear).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _from_deep(image: Image.Image) -> Image.Image:
    """16-bit and 32-bit grey to 8 bits: by 257 where the values need 16 bits, by the range where they need more."""
    values = np.nan_to_num(np.asarray(image, dtype=np.float64))
    low, high = float(values.min()), float(values.max())
    if image.mode == "F" and low >= 0.0 and high <= 1.0:
        values = values * 255.0
    elif image.mode.startswith("I;16") or (low >= 0 and 255 < high <= 65_535):
        values = values / 257.0
    elif low < 0 or high > 65_535:
        values = (values - low) * (255.0 / (high - low))
    return Image.fromarray(np.clip(np.rint(values), 0, 255).astype(np.uint8), mode="L").convert("RGB")
