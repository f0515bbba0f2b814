"""Reading images of any kind as upright 8-bit RGB; broken and oversized ones raise errors with the reason."""

from __future__ import annotations

import base64
import binascii
import contextlib
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from headstart.core.errors import DataError
from headstart.core.records.decoding import ALONE, Decoding
from headstart.data.images.arrays import image_of, pixels
from headstart.data.images.decoding import ALPHA, is_deep, rgb
from headstart.data.images.deep_colour import deep_levels, holds_deep_colours
from headstart.data.images.files import why_unread
from headstart.data.images.formats import TooLarge, dicom, is_dicom, missing_reader, register

MAX_PIXELS = 64_000_000
"maximum number of pixels by the file's header, because a few bytes can unpack to gigabytes"

_BASE64 = re.compile(r"(data:image/[\w.+-]+;base64,|iVBORw0KGgo|/9j/|R0lGOD|UklGR|Qk0|SUkq|TU0AK)")
"images as text: a data URI, or base64 of the first bytes of PNG, JPEG, GIF, WebP, BMP, TIFF"


def decode(data: bytes, max_pixels: int = MAX_PIXELS, decoding: Decoding = ALONE) -> Image.Image:
    """The image as 8-bit RGB, upright by its EXIF tag; the first frame of several.

    data: bytes of the file. max_pixels: maximum of width x height, checked in the header before decoding.
    decoding: rule for more than 8 bits and for transparency.
    Raises `TooLarge` above `max_pixels`, and `DataError` for data that are no image or truncated.
    """
    return rgb(upright(raw(data, max_pixels, decoding)), decoding)


def raw(data: bytes, max_pixels: int = MAX_PIXELS, decoding: Decoding = ALONE) -> Image.Image:
    """The image in the mode of its file, not yet rotated; 16-bit colours are scaled to 8 bits."""
    register()
    with _named_errors(data, max_pixels):
        if is_dicom(data):
            found = dicom(data, max_pixels)
            return found if isinstance(found, Image.Image) else Image.fromarray(found.astype(np.float32))
        image = Image.open(io.BytesIO(data))
        check_size(image.size, max_pixels)
        if (levels := deep_levels(data)) is not None:
            return _deep_colour(levels, image, decoding)
        image.load()
        return image


@contextlib.contextmanager
def _named_errors(data: bytes, max_pixels: int) -> Iterator[None]:
    """Turns Pillow's errors while decoding these bytes into a `DataError`."""
    try:
        yield
    except DataError:
        raise
    except Image.DecompressionBombError as error:
        # Pillow's limit; below it `max_pixels` decides
        count = next(iter(re.findall(r"\d+", str(error))), "far too many")
        raise TooLarge(f"the image has {count} pixels; at most {max_pixels:,} are decoded.") from error
    except MemoryError as error:
        raise TooLarge("the image does not fit into memory") from error
    except UnidentifiedImageError as error:  # because its message shows an object's address
        reason = missing_reader(data) or "the file is no image, or of a format that is not known here"
        raise DataError(reason) from error
    except Exception as error:  # because Pillow's decoders raise different kinds of errors on broken files
        raise DataError(f"the image can't be decoded: {error or type(error).__name__}") from error


def picture(value: Any, decoding: Decoding = ALONE) -> Image.Image:
    """Any kind of image value as 8-bit RGB, upright, like a file.

    value: encoded bytes, an open binary file, a path, base64 text, `{"bytes": …, "path": …}`, a Pillow image, or
    an array or tensor [H, W], [H, W, C] or [C, H, W] of 1 to 4 channels: integers 0 … 255 (more for deep greys),
    booleans, or floats 0 … 1 or 0 … 255.
    Raises `DataError` for anything else, with the path if there is one.
    """
    if isinstance(value, dict):
        value = value.get("bytes") or value.get("path")
    if hasattr(value, "read") and not isinstance(value, Image.Image):
        value = value.read()
    if isinstance(value, (bytearray, memoryview)):
        value = bytes(value)
    if isinstance(value, str) and (inline := from_base64(value)) is not None:
        value = inline
    if isinstance(value, bytes):
        return decode(value, decoding=decoding)
    if isinstance(value, Image.Image):
        return _opened(value, decoding)
    if isinstance(value, (str, Path)):
        return _from_file(value, decoding)
    if hasattr(value, "__array__"):
        return _from_array(value, decoding)
    raise DataError(
        f"a {type(value).__name__} is no image. Give a path, encoded bytes, an image of Pillow's, an array or a tensor."
    )


def plain(data: bytes, decoding: Decoding) -> bytes:
    """Encoded bytes that every decoder reads alike: images that `decoding` changes are re-encoded as RGB."""
    if decoding == ALONE:
        return data
    with contextlib.suppress(Exception):  # unreadable images raise later, when they are decoded
        image = Image.open(io.BytesIO(data))
        clear = image.mode in ALPHA or "transparency" in image.info
        if not (is_dicom(data) or is_deep(image) or clear or deep_levels(data) is not None):
            return data
    written = io.BytesIO()
    decode(data, decoding=decoding).save(written, "BMP")
    return written.getvalue()


def from_base64(text: str) -> bytes | None:
    """Bytes of an image in base64 or in a data URI; None for other texts."""
    if not _BASE64.match(text) or len(text) < 60:
        return None
    try:
        return base64.b64decode(text.rpartition(",")[2], validate=True)
    except (binascii.Error, ValueError):
        return None


def _opened(image: Image.Image, decoding: Decoding) -> Image.Image:
    """A Pillow image; if it is not loaded yet, its file is read here, because Pillow would lose 16-bit colours."""
    if holds_deep_colours(image):
        with contextlib.suppress(Exception):
            image.fp.seek(0)  # type: ignore[attr-defined]
            return decode(image.fp.read(), decoding=decoding)  # type: ignore[attr-defined]
    with _named_errors(b"", MAX_PIXELS):
        check_size(image.size, MAX_PIXELS)
        image.load()
        return rgb(upright(image), decoding)


def _from_array(value: Any, decoding: Decoding) -> Image.Image:
    values = pixels(value, decoding)
    check_size((values.shape[1], values.shape[0]), MAX_PIXELS)
    return rgb(image_of(values, decoding), decoding)


def _from_file(path: str | Path, decoding: Decoding) -> Image.Image:
    try:
        return decode(Path(path).read_bytes(), decoding=decoding)
    except OSError as error:
        raise DataError(f"can't read the image {path}: {why_unread(path, error)}.") from error
    except DataError as error:
        raise type(error)(f"{path}: {error}") from error


def check_size(size: tuple[int, int], max_pixels: int) -> None:
    width, height = size
    if width * height > max_pixels:
        raise TooLarge(f"the image has {width} x {height} pixels; at most {max_pixels:,} are decoded.")


def upright(image: Image.Image) -> Image.Image:
    with contextlib.suppress(Exception):  # ignored, because an image with a broken EXIF block is still valid
        return ImageOps.exif_transpose(image) or image
    return image


def _deep_colour(levels: np.ndarray, image: Image.Image, decoding: Decoding) -> Image.Image:
    made = image_of(levels, decoding)
    with contextlib.suppress(Exception):  # as in `upright`
        made.getexif()[0x0112] = image.getexif().get(0x0112, 1)
    return made
