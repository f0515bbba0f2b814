"""Image formats: suffixes, and readers for HEIC and DICOM if their packages are installed."""

from __future__ import annotations

import functools
import io
from typing import Any

import numpy as np
from PIL import Image

from headstart.core.errors import DataError

SUFFIXES = {
    ".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".gif", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm",
    ".avif", ".jp2", ".tga", ".ico", ".heic", ".heif", ".dcm",
}  # fmt: skip

_HEIC = tuple(b"ftyp" + brand for brand in (b"heic", b"heix", b"hevc", b"mif1", b"msf1"))
_NOT_READ = (
    (b"version https://git-lfs", "the file is no image but a pointer of Git LFS; run git lfs pull"),
    (b"<!doctype html", "the file is no image but a web page; download it again"),
    (b"<html", "the file is no image but a web page; download it again"),
    (b"%PDF", "the file is no image but a PDF; save its pages as PNG"),
)


class TooLarge(DataError):
    """An image with more pixels than allowed, by its header."""


@functools.cache
def register() -> None:
    """Adds HEIC to Pillow's formats if pillow-heif is installed (the extra `heic`)."""
    try:
        import pillow_heif
    except ImportError:
        return
    pillow_heif.register_heif_opener()


def missing_reader(data: bytes) -> str:
    """Reason why these bytes are no readable image, and advice; empty if unknown."""
    if not data:
        return "the file is no image: it is empty"
    if data[4:12] in _HEIC:
        return 'the image is HEIC; install its reader with pip install "headstart[heic]", or save it as JPEG'
    start = data[:1_000].lstrip(b"\xef\xbb\xbf \r\n\t").lower()
    if b"<svg" in start:
        return "the file is no image but an SVG drawing; save it as PNG"
    return next((reason for sign, reason in _NOT_READ if start.startswith(sign.lower())), "")


def is_dicom(data: bytes) -> bool:
    return data[128:132] == b"DICM"


def dicom(data: bytes, max_pixels: int) -> np.ndarray | Image.Image:
    """The first frame of a DICOM file, as a viewer shows it.

    Grey levels have slope and intercept applied, [H, W] float64; with a window (PS3.3 C.11.2.1.2) they are clipped to
    it and become an 8-bit image. MONOCHROME1 is inverted. Colours become RGB. Raises `DataError` without pydicom (the
    extra `dicom`), and for a file without a readable image.
    """
    try:
        import pydicom
        from pydicom.pixels import apply_modality_lut, pixel_array
    except ImportError as error:
        raise DataError(
            'the image is DICOM; install its reader with pip install "headstart[dicom]", or save it as PNG'
        ) from error
    header: Any = pydicom.dcmread(io.BytesIO(data), stop_before_pixels=True)
    width, height = int(header.get("Columns", 0)), int(header.get("Rows", 0))
    if width * height > max_pixels:
        raise TooLarge(f"the image has {width} x {height} pixels; at most {max_pixels:,} are decoded.")
    if not width * height:
        raise DataError("the DICOM file holds no picture")
    values = pixel_array(io.BytesIO(data), index=0)
    if values.ndim == 3:
        return Image.fromarray(values.astype(np.uint8))
    values = np.asarray(apply_modality_lut(values, header), dtype=np.float64)
    inverted = header.get("PhotometricInterpretation") == "MONOCHROME1"
    centre, window = _first(header.get("WindowCenter")), _first(header.get("WindowWidth"))
    if centre is None or window is None or window < 1:
        return values.max() + values.min() - values if inverted else values
    levels = np.clip((values - (centre - 0.5)) / max(window - 1.0, 1.0) + 0.5, 0.0, 1.0) * 255.0
    return Image.fromarray(np.rint(255.0 - levels if inverted else levels).astype(np.uint8))


def _first(value: Any) -> float | None:
    """A DICOM number, the first of several; None if missing."""
    if value is None or value == "":
        return None
    return float(value if isinstance(value, (int, float)) else value[0] if hasattr(value, "__getitem__") else value)
