"""Every way of saving a picture comes out upright, RGB and 8 bits deep; broken files are named errors."""

from __future__ import annotations

import io

import numpy as np
import pytest
from made_data import image
from PIL import Image

from headstart.core.errors import DataError
from headstart.data.images.formats import TooLarge
from headstart.data.images.image import decode


def saved(picture: Image.Image, form: str = "PNG", **options: object) -> bytes:
    out = io.BytesIO()
    picture.save(out, form, **options)  # type: ignore[arg-type]
    return out.getvalue()


def test_transparency_lies_over_white() -> None:
    half = Image.new("RGBA", (2, 1), (200, 0, 0, 255))
    half.putpixel((1, 0), (0, 0, 0, 0))
    found = decode(saved(half))
    assert [found.getpixel((x, 0)) for x in range(2)] == [(200, 0, 0), (255, 255, 255)]
    grey = Image.new("LA", (1, 1), (0, 0))
    assert decode(saved(grey)).getpixel((0, 0)) == (255, 255, 255)
    palette = Image.new("P", (2, 1), 0)
    palette.putpalette([10, 20, 30, 40, 50, 60])
    palette.putpixel((1, 0), 1)
    found = decode(saved(palette, transparency=0))
    assert [found.getpixel((x, 0)) for x in range(2)] == [(255, 255, 255), (40, 50, 60)]


def test_sixteen_bits_are_scaled_and_not_clipped() -> None:
    values = np.array([[0, 257 * 250, 65_535]], dtype=np.uint16)
    found = decode(saved(Image.fromarray(values)))
    assert [found.getpixel((x, 0)) for x in range(3)] == [(0, 0, 0), (250, 250, 250), (255, 255, 255)]
    floats = np.array([[0.0, 0.5, 1.0]], dtype=np.float32)
    assert decode(saved(Image.fromarray(floats), "TIFF")).getpixel((2, 0)) == (255, 255, 255)


def test_exif_orientation_is_applied() -> None:
    wide = Image.new("RGB", (40, 20), (255, 0, 0))
    exif = Image.Exif()
    exif[0x0112] = 6  # rotated by 90 degrees
    assert decode(saved(wide, "JPEG", exif=exif)).size == (20, 40)


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "RGB", "RGBA", "I", "F", "YCbCr"])
def test_every_mode_gives_rgb(mode: str) -> None:
    form = "TIFF" if mode in ("F", "CMYK", "I", "YCbCr") else "PNG"
    found = decode(saved(Image.new("RGB", (4, 3), (9, 99, 199)).convert("L").convert(mode), form))
    assert (found.mode, found.size) == ("RGB", (4, 3))


@pytest.mark.parametrize("data", [b"", b"GIF89a", b"\x89PNG\r\n\x1a\n", bytes(1_000), image(0)[:600], b"<svg/>"])
def test_broken_images_are_named_errors(data: bytes) -> None:
    with pytest.raises(DataError, match="can't be decoded|is no image"):
        decode(data)


def test_a_large_header_is_not_decoded() -> None:
    data = saved(Image.new("1", (3_000, 3_000)))
    with pytest.raises(TooLarge, match="3000 x 3000 pixels"):
        decode(data, max_pixels=1_000_000)
    assert decode(data).size == (3_000, 3_000)
    with pytest.raises(TooLarge):
        decode(saved(Image.new("1", (20_000, 20_000))))
