"""Images: whatever a user may give as one becomes upright 8-bit RGB; what is broken or oversized is a named error."""

from __future__ import annotations

import base64
import binascii
import contextlib
import io
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from headstart.core.errors import DataError
from headstart.data.decoding import ALONE, ALPHA, Decoding, is_deep
from headstart.data.image_formats import dicom, is_dicom, missing_reader, register

MAX_PIXELS = 64_000_000
"pixels; a file whose header says more is not decoded, since a few bytes can unpack to gigabytes"

_BASE64 = re.compile(r"(data:image/[\w.+-]+;base64,|iVBORw0KGgo|/9j/|R0lGOD|UklGR|Qk0|SUkq|TU0AK)")
"a picture written as text: a data URI, or the first bytes of PNG, JPEG, GIF, WebP, BMP, TIFF"


_NATIVE = "L" if sys.byteorder == "little" else "B"
_OTHER_ORDER = {
    f"{mode};16{order}": f"{mode};16{'B' if (_NATIVE if order == 'N' else order) == 'L' else 'L'}"
    for mode in ("RGB", "RGBA")
    for order in "LBN"
}
"Pillow's names of byte orders, each with the one by which the lower bytes are taken for the upper ones"


class TooLarge(DataError):
    """An image whose header gives more pixels than allowed."""


def decode(data: bytes, max_pixels: int = MAX_PIXELS, decoding: Decoding = ALONE) -> Image.Image:
    """The image as 8-bit RGB, upright by its EXIF tag; the first frame of several.

    data: the file's bytes. max_pixels: width x height allowed, read from the header before decoding.
    decoding: how more than 8 bits and transparency become RGB.
    Raises `TooLarge` beyond `max_pixels`, and `DataError` for what is no image or is cut short.
    """
    return decoding.rgb(upright(raw(data, max_pixels, decoding)))


def raw(data: bytes, max_pixels: int = MAX_PIXELS, decoding: Decoding = ALONE) -> Image.Image:
    """The image in the mode of its file, not yet turned; colours of 16 bits are scaled to 8."""
    register()
    try:
        if is_dicom(data):
            found = dicom(data, max_pixels)
            return found if isinstance(found, Image.Image) else Image.fromarray(found.astype(np.float32))
        image = Image.open(io.BytesIO(data))
        _check_size(image.size, max_pixels)
        if (levels := deep_levels(data)) is not None:
            return _deep_colour(levels, image, decoding)
        image.load()
        return image
    except DataError:
        raise
    except Image.DecompressionBombError as error:
        # Pillow's own limit, below which `max_pixels` decides.
        count = next(iter(re.findall(r"\d+", str(error))), "far too many")
        raise TooLarge(f"the image has {count} pixels; at most {max_pixels:,} are decoded.") from error
    except MemoryError as error:
        raise TooLarge("the image does not fit into memory") from error
    except UnidentifiedImageError as error:  # its own message shows an object's address
        raise DataError(
            missing_reader(data) or "the file is no image, or of a format that is not known here"
        ) from error
    except Exception as error:  # each of Pillow's decoders raises its own kinds on broken files
        raise DataError(f"the image can't be decoded: {error or type(error).__name__}") from error


def picture(value: Any, decoding: Decoding = ALONE) -> Image.Image:
    """Whatever may be given as an image, prepared as its file would be: 8-bit RGB, upright.

    value: encoded bytes, an open binary file, a path, base64 text, `{"bytes": …, "path": …}`, an image of Pillow's, or
    an array or tensor [H, W], [H, W, C] or [C, H, W] of 1 to 4 channels: integers 0 … 255 (more for deep greys),
    booleans, or floats 0 … 1 or 0 … 255.
    Raises `DataError` for anything else, naming the path where there is one.
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
        _check_size(value.size, MAX_PIXELS)
        return decoding.rgb(upright(value))
    if isinstance(value, (str, Path)):
        return _from_file(Path(value), decoding)
    if hasattr(value, "__array__"):
        return _from_array(value, decoding)
    raise DataError(
        f"a {type(value).__name__} is no image. Give a path, encoded bytes, an image of Pillow's, an array or a tensor."
    )


def plain(data: bytes, decoding: Decoding) -> bytes:
    """Encoded bytes that every decoder reads alike: pictures which `decoding` is about are written anew as RGB."""
    if decoding == ALONE:
        return data
    with contextlib.suppress(Exception):  # what can't be opened is named where it is decoded
        image = Image.open(io.BytesIO(data))
        clear = image.mode in ALPHA or "transparency" in image.info
        if not (is_dicom(data) or is_deep(image) or clear or deep_levels(data) is not None):
            return data
    written = io.BytesIO()
    decode(data, decoding=decoding).save(written, "BMP")
    return written.getvalue()


def from_base64(text: str) -> bytes | None:
    """The bytes of a picture written as base64 or as a data URI; None for other texts."""
    if not _BASE64.match(text) or len(text) < 60:
        return None
    try:
        return base64.b64decode(text.rpartition(",")[2], validate=True)
    except (binascii.Error, ValueError):
        return None


def _from_file(path: Path, decoding: Decoding) -> Image.Image:
    try:
        return decode(path.read_bytes(), decoding=decoding)
    except OSError as error:
        raise DataError(f"can't read the image {path}: {error.strerror}.") from error
    except DataError as error:
        raise type(error)(f"{path}: {error}") from error


def _from_array(value: Any, decoding: Decoding) -> Image.Image:
    is_tensor = hasattr(value, "detach")
    if is_tensor:
        value = value.detach().cpu()
        value = value.float() if value.is_floating_point() else value
    values = np.asarray(value)
    shown = f"{'a tensor' if is_tensor else 'an array'} of shape {list(values.shape)} and type {values.dtype}"
    channels_first = values.ndim == 3 and values.shape[0] in (1, 3, 4)
    if channels_first and (is_tensor or values.shape[2] not in (1, 3, 4)):
        values = np.moveaxis(values, 0, 2)
    if values.dtype.kind not in "buif" or not (
        values.ndim == 2 or (values.ndim == 3 and values.shape[2] in (1, 2, 3, 4))
    ):
        raise DataError(f"{shown} is no image. Give numbers as [H, W], [H, W, C] or [C, H, W] with 1 to 4 channels.")
    if not values.size:
        raise DataError(f"{shown} has no pixels.")
    _check_size((values.shape[1], values.shape[0]), MAX_PIXELS)
    values = values[:, :, 0] if values.ndim == 3 and values.shape[2] == 1 else values
    if values.dtype.kind == "f":
        _check_floats(values, shown, decoding)
    return decoding.rgb(_from_levels(values, decoding))


def _check_floats(values: np.ndarray, shown: str, decoding: Decoding) -> None:
    low, high = float(values.min()), float(values.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise DataError(f"{shown} holds values that are not finite.")
    if not decoding.floats and (low < 0 or high > 255):
        raise DataError(
            f"{shown} holds values from {low:.3g} to {high:.3g}. Give 0 … 1 or 0 … 255, before any mean and deviation "
            "are taken off: the model's own are applied here."
        )


def _from_levels(values: np.ndarray, decoding: Decoding) -> Image.Image:
    """[H, W] or [H, W, C] of any number type; alpha, the last of 2 or 4 channels, goes from 0 to its type's largest."""
    if values.dtype.kind == "b":
        values = values.astype(np.uint8) * np.uint8(255)
    if values.dtype != np.uint8:
        colours, alpha = (values[..., :-1], values[..., -1:]) if values.shape[2:] in ((2,), (4,)) else (values, None)
        levels = decoding.levels(colours)
        if alpha is not None:
            top = 65_535 if values.dtype == np.uint16 else 255 if alpha.max() > 1 else 1
            levels = np.concatenate([levels, np.rint(alpha * (255.0 / top)).clip(0, 255).astype(np.uint8)], axis=2)
        values = levels
    return Image.fromarray(np.ascontiguousarray(values))


def _check_size(size: tuple[int, int], max_pixels: int) -> None:
    width, height = size
    if width * height > max_pixels:
        raise TooLarge(f"the image has {width} x {height} pixels; at most {max_pixels:,} are decoded.")


def upright(image: Image.Image) -> Image.Image:
    with contextlib.suppress(Exception):  # a broken EXIF block is no reason to lose a sound image
        return ImageOps.exif_transpose(image) or image
    return image


def deep_levels(data: bytes) -> np.ndarray | None:
    """[H, W, C] uint16 of an image of 16 bits a channel with colours or alpha; None for other images.

    Pillow keeps the upper bytes alone, which may be all zero, unless it is made to read the lower ones for them.
    """
    is_png = data[:4] == b"\x89PNG"
    if data[24:25] != b"\x10" if is_png else data[:4] not in (b"II*\0", b"MM\0*"):
        return None  # a few bytes decide, since every image is asked
    upper, lower = Image.open(io.BytesIO(data)), Image.open(io.BytesIO(data))
    names = {_rawmode(tile) for tile in getattr(upper, "tile", ())}
    name = names.pop() if len(names) == 1 else ""
    if name == "LA;16B":  # four bytes a pixel, as RGBA has
        lower.tile = [_with_rawmode(tile, "RGBA") for tile in lower.tile]  # type: ignore[attr-defined]
        found = np.asarray(lower).astype(np.uint16)
        return found[..., ::2] << 8 | found[..., 1::2]
    if name not in _OTHER_ORDER:
        return None
    lower.tile = [_with_rawmode(tile, _OTHER_ORDER[name]) for tile in lower.tile]  # type: ignore[attr-defined]
    return np.asarray(upper).astype(np.uint16) << 8 | np.asarray(lower)


def _rawmode(tile: Any) -> str:
    return tile.args if isinstance(tile.args, str) else str(tile.args[0]) if tile.args else ""


def _with_rawmode(tile: Any, name: str) -> Any:
    return tile._replace(args=name if isinstance(tile.args, str) else (name, *tile.args[1:]))


def _deep_colour(levels: np.ndarray, image: Image.Image, decoding: Decoding) -> Image.Image:
    made = _from_levels(levels, decoding)
    with contextlib.suppress(Exception):  # as in `upright`
        made.getexif()[0x0112] = image.getexif().get(0x0112, 1)
    return made
