"""Whatever may be given as an image is prepared as its file would be: Pillow's objects, arrays, tensors, bytes."""

from __future__ import annotations

import base64
import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from made_data import image
from PIL import Image

from headstart.core.errors import DataError
from headstart.data.images.image import decode, picture


def png16(values: np.ndarray) -> bytes:
    """A PNG of 16 bits a channel, which Pillow can't write in colour. values: [H, W, C] uint16."""
    height, width, channels = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[channels]

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0)
    ends = chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(ends)


def saved(image: Image.Image, form: str = "PNG", **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def same(one: Image.Image, other: Image.Image) -> bool:
    return one.mode == other.mode == "RGB" and np.array_equal(np.asarray(one), np.asarray(other))


def files() -> dict[str, bytes]:
    icon = Image.new("RGBA", (8, 6))
    icon.paste((0, 0, 0, 255), (2, 2, 5, 5))
    palette = Image.new("P", (8, 6), 0)
    palette.putpalette([10, 20, 30, 40, 50, 60])
    palette.paste(1, (2, 2, 5, 5))
    turned = Image.fromarray(np.arange(48, dtype=np.uint8).reshape(6, 8) * 5)
    exif = Image.Exif()
    exif[0x0112] = 6
    deep = np.linspace(0, 4_095, 48).reshape(6, 8)
    found = {
        "black on transparency": saved(icon), "white on transparency": saved(Image.eval(icon, lambda v: v and 255)),
        "grey and alpha": saved(icon.convert("LA")), "palette with alpha": saved(palette, transparency=0),
        "16 bits": saved(Image.fromarray(deep.astype(np.uint16))),
        "float": saved(Image.fromarray(deep.astype("f4")), "TIFF"),
        "32 bits": saved(Image.fromarray(deep.astype(np.int32)), "TIFF"), "one bit": saved(turned.convert("1")),
        "CMYK": saved(icon.convert("RGB").convert("CMYK"), "TIFF"), "GIF": saved(palette, "GIF", transparency=0),
        "LAB": saved(Image.new("LAB", (8, 6), (120, 140, 90)), "TIFF"), "WebP": saved(icon, "WEBP", lossless=True),
    }  # fmt: skip
    return found | {f"EXIF {at}": saved(turned, "JPEG", exif=_turned(at)) for at in range(1, 9)}


def _turned(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


@pytest.mark.parametrize("name", sorted(files()))
def test_an_opened_image_is_prepared_as_its_file_is(tmp_path: Path, name: str) -> None:
    data = files()[name]
    expected = decode(data)
    (tmp_path / "file.bin").write_bytes(data)
    given = [Image.open(io.BytesIO(data)), tmp_path / "file.bin", str(tmp_path / "file.bin"), bytearray(data)]
    given += [memoryview(data), io.BytesIO(data), {"bytes": data, "path": None}, {"bytes": None, "path": given[2]}]
    given += [base64.b64encode(data).decode()] if len(data) > 60 and name not in ("one bit",) else []
    assert all(same(picture(one), expected) for one in given)
    if name.startswith("EXIF"):
        assert expected.size == ((8, 6) if int(name[-1]) < 5 else (6, 8))


def test_transparent_pictures_are_never_blank_by_themselves() -> None:
    for name in ("black on transparency", "white on transparency"):
        assert len(np.unique(np.asarray(decode(files()[name])))) == 2


@pytest.mark.parametrize("wrap", [np.asarray, torch.from_numpy])
def test_arrays_and_tensors_are_their_pixels(wrap: Any) -> None:
    rgb = np.array(decode(image(1)))
    grey = np.array(decode(image(1)).convert("L"))
    expected, grey_expected = Image.fromarray(rgb), Image.fromarray(grey).convert("RGB")
    for one in (rgb, rgb.transpose(2, 0, 1).copy(), rgb / 255.0, rgb.astype(np.float32) / 255, rgb.astype(np.int64)):
        assert same(picture(wrap(one)), expected)
    assert same(picture(wrap(rgb.astype(np.float32))), expected)
    assert same(picture(torch.from_numpy(rgb / 255).half().permute(2, 0, 1).round(decimals=6)), expected)
    for one in (grey, grey[:, :, None], grey[None], grey / 255.0):
        assert same(picture(wrap(one)), grey_expected)
    mask = grey > 100
    assert same(picture(wrap(mask)), Image.fromarray(mask.astype(np.uint8) * 255).convert("RGB"))


def test_arrays_with_alpha_and_deep_greys_are_their_files() -> None:
    icon = Image.open(io.BytesIO(files()["black on transparency"]))
    assert same(picture(np.asarray(icon)), decode(files()["black on transparency"]))
    assert same(picture(np.asarray(icon) / 255.0), decode(files()["black on transparency"]))
    for name in ("16 bits", "float", "32 bits"):
        data = files()[name]
        assert name == "float" or same(picture(np.asarray(Image.open(io.BytesIO(data)))), decode(data))
    high = np.random.default_rng(0).integers(0, 4_096, (5, 7, 3)).astype(np.uint16)
    assert same(picture(high), decode(png16(high)))


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_colours_of_sixteen_bits_keep_their_levels(channels: int) -> None:
    values = np.random.default_rng(0).integers(0, 4_096, (5, 7, channels)).astype(np.uint16)
    values[0, 0, 0] = 4_095
    if channels in (2, 4):
        values[:, :, -1] = 65_535
    found = np.asarray(decode(png16(values)))
    colours = values[:, :, :3] if channels > 2 else values[:, :, :1]
    np.testing.assert_allclose(found, np.broadcast_to(colours / 4_095 * 255, found.shape), atol=0.51)
    np.testing.assert_array_equal(np.asarray(picture(Image.open(io.BytesIO(png16(values))))), found)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.random.default_rng(0).normal(size=(3, 8, 8)), "before any mean and deviation"),
        (np.full((4, 4), np.nan), "not finite"),
        (np.zeros((2, 3, 8, 8), np.uint8), r"shape \[2, 3, 8, 8\]"),
        (np.zeros((0, 4, 3), np.uint8), "no pixels"),
        (np.zeros((5, 4, 5)), "is no image"),
        (np.zeros(9), "is no image"),
        (np.array([["a"]]), "is no image"),
        (torch.zeros(3, 8, 8, dtype=torch.complex64), "is no image"),
        (None, "a NoneType is no image"),
        (7, "a int is no image"),
        ("nothing.png", "can't read the image nothing.png"),
    ],
)
def test_what_is_no_picture_is_refused(value: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        picture(value)


def test_an_opened_file_that_is_cut_short_is_a_named_error() -> None:
    with pytest.raises(DataError, match="can't be decoded"):
        picture(Image.open(io.BytesIO(image(1, "JPEG", (64, 64))[:-200])))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty"),
        (b"\0\0\0\x18ftypheic" + bytes(50), r"HEIC.*headstart\[heic\]"),
        (bytes(128) + b"DICM" + bytes(50), "DICOM"),
        (b"<?xml version='1.0'?>\n<svg xmlns='x'/>", "SVG"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "git lfs pull"),
        (b"<!DOCTYPE html><html>", "web page"),
        (b"%PDF-1.4", "PDF"),
    ],
)
def test_other_files_say_what_they_are(data: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        decode(data)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("channels", [3, 4])
def test_colours_of_sixteen_bits_in_a_tiff(order: str, channels: int) -> None:
    values = np.random.default_rng(0).integers(0, 4_096, (5, 7, channels)).astype("u2")
    values[0, 0, 0], values[:, :, 3:] = 4_095, 65_535
    found = np.asarray(decode(tiff16(values, order)))
    np.testing.assert_allclose(found, values[:, :, :3] / 4_095 * 255, atol=0.51)


def tiff16(values: np.ndarray, order: str) -> bytes:
    """An uncompressed TIFF of 16 bits a channel, which Pillow can't write in colour. values: [H, W, 3 or 4]."""
    height, width, channels = values.shape
    entries = [
        (256, 4, [width]), (257, 4, [height]), (258, 3, [16] * channels), (259, 3, [1]), (262, 3, [2]), (273, 4, [0]),
        (277, 3, [channels]), (278, 4, [height]), (279, 4, [values.size * 2]), *([(338, 3, [2])] * (channels == 4)),
    ]  # fmt: skip
    start = 8 + 2 + 12 * len(entries) + 4
    extra, packed = b"", b""
    for tag, kind, given in entries:
        code = "H" if kind == 3 else "I"
        body = struct.pack(f"{order}{len(given)}{code}", *given)
        if tag == 273:
            body = struct.pack(f"{order}I", start + 2 * channels)
        if len(body) > 4:
            extra += body
            body = struct.pack(f"{order}I", start)
        packed += struct.pack(f"{order}HHI", tag, kind, len(given)) + body.ljust(4, b"\0")
    header = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}IH", 8, len(entries))
    assert len(extra) == 2 * channels
    return header + packed + bytes(4) + extra + values.astype(f"{order}u2").tobytes()


def test_heic_is_read_where_its_reader_is_installed() -> None:
    heif = pytest.importorskip("pillow_heif")
    heif.register_heif_opener()
    data = saved(Image.new("RGB", (64, 64), (200, 30, 30)), "HEIF")
    assert np.abs(np.asarray(decode(data), dtype=int) - [200, 30, 30]).max() < 6


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({}, [0, 128, 255]), ({"PhotometricInterpretation": "MONOCHROME1"}, [255, 127, 0]),
        ({"WindowCenter": 1_024, "WindowWidth": 1_024}, [0, 255, 255]),
        ({"RescaleIntercept": -1_024, "RescaleSlope": 1}, [0, 128, 255]), ({"NumberOfFrames": 1}, [0, 128, 255]),
    ],
)  # fmt: skip
def test_dicom_is_read_where_its_reader_is_installed(tags: dict[str, Any], expected: list[int]) -> None:
    pydicom = pytest.importorskip("pydicom")
    meta = pydicom.dataset.FileMetaDataset()
    meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", "1.2"
    file = pydicom.dataset.FileDataset(None, {}, file_meta=meta, preamble=bytes(128))
    values = np.array([[0, 2_048, 4_095]] * 2, dtype="<u2")
    given = {
        "Rows": 2, "Columns": 3, "SamplesPerPixel": 1, "PhotometricInterpretation": "MONOCHROME2", "BitsAllocated": 16,
        "BitsStored": 12, "HighBit": 11, "PixelRepresentation": 0, "PixelData": values.tobytes(),
    }  # fmt: skip
    for name, value in (given | tags).items():
        setattr(file, name, value)
    out = io.BytesIO()
    file.save_as(out, enforce_file_format=True)
    assert np.asarray(decode(out.getvalue()))[0, :, 0].tolist() == expected
