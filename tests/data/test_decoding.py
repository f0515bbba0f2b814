"""What a model sees: deep grey levels keep their range, transparent pictures stay visible, and poor ones are named."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made_data import finding, image, kinds
from PIL import Image

from headstart.core.records.decoding import ALONE, Decoding
from headstart.data.images.decoding import levels, settled, span
from headstart.data.images.image import decode, picture
from headstart.data.read import read
from headstart.tasks.task import Task

rng = np.random.default_rng(0)


def saved(values: np.ndarray, form: str = "PNG", **options: Any) -> bytes:
    out = io.BytesIO()
    Image.fromarray(values).save(out, form, **options)
    return out.getvalue()


def picture8(seed: int) -> np.ndarray:
    """A smooth grey picture, 0 … 255."""
    grey = np.asarray(Image.open(io.BytesIO(image(seed, size=(32, 32)))).convert("L"), dtype=np.float64)
    return (grey - grey.min()) / (grey.max() - grey.min()) * 255


def table(folder: Path, images: list[bytes], name: str = "data.parquet") -> Path:
    labels = ["ab"[at % 2] for at in range(len(images))]
    pq.write_table(pa.table({"image": images, "label": labels}), folder / name)
    return folder / name


def test_ranges_by_hand() -> None:
    tops = (255, 1_023, 4_095, 16_383, 65_535)
    assert span(0, 4_000, tops) == (0, 4_095)
    assert span(12, 65_535, tops) == (0, 65_535)
    assert span(0, 1_500, tops) == (0, 1_500), "less than half of 4,095 is stretched"
    assert span(7_500, 7_700, tops) == (7_500, 7_700)
    assert span(-1_024, 3_071, tops) == (-1_024, 3_071)
    marked = [(0.0, 65_535.0, 100.0, 2_000.0)] * 20
    assert settled(marked, [], []).integers == (100, 2_000), "a burnt-in marker is no grey level of the picture"
    assert settled([(0, 4_095, 1, 4_000)] * 20, [(0, 1, 0, 1)], []) == Decoding((0, 4_095), (0, 1), None)
    assert settled([], [], [(255, 0, 128), (0, 128)]).background == 0
    assert settled([], [], [(255, 128), (0, 128)]).background == 128
    assert settled([], [], [(255, 0, 128)]).background == 255
    found = levels(np.array([0, 16, 2_048, 4_095, 5_000], dtype=np.uint16), Decoding((0.0, 4_095.0)))
    assert found.tolist() == [0, 1, 128, 255, 255]


def test_every_background_is_told() -> None:
    """White too: other programs drop the transparency, and mostly find black below it."""
    assert Decoding().notes == []
    for level in (255, 0, 128):
        assert Decoding(background=level).notes == [f"put transparent pixels over the grey level {level}"]


@pytest.mark.parametrize("bits", [10, 12, 14, 16])
@pytest.mark.parametrize("kind", ["png", "int16", "int32", "float"])
def test_deep_greys_look_as_in_eight_bits(tmp_path: Path, bits: int, kind: str) -> None:
    made = {
        "png": ("PNG", np.uint16),
        "int16": ("TIFF", np.int16),
        "int32": ("TIFF", np.int32),
        "float": ("TIFF", "f4"),
    }
    form, dtype = made[kind]
    top = 2**bits - 1 if (bits, kind) != (16, "int16") else 2**15 - 1
    deep = [np.rint(picture8(at) / 255 * top).astype(dtype) for at in range(24)]
    data = read(table(tmp_path, [saved(one, form) for one in deep]))
    for number, given in zip(data.train.ids[:5], data.train.inputs()[:5]):
        shown = np.asarray(decode(given), dtype=np.float64)[..., 0]  # type: ignore[arg-type]
        np.testing.assert_allclose(shown, picture8(int(number)), atol=1.1)
        alone = np.asarray(picture(saved(deep[number], form), data.task.images), dtype=np.float64)[..., 0]
        np.testing.assert_array_equal(alone, shown), "prediction reads as training does"
    assert kinds(data).keys() <= {"decoding", "near_duplicate", "rare_class"}
    assert "kept with its models" in finding(data, "decoding").message
    assert Task.from_json(data.task.to_json()) == data.task


def test_a_deep_file_of_a_picture_is_nearly_its_jpeg() -> None:
    for at in range(5):
        grey = picture8(at)
        jpeg = np.asarray(decode(saved(np.rint(grey).astype(np.uint8), "JPEG", quality=95)), dtype=np.float64)
        for bits in (10, 12, 14, 16):
            deep = saved(np.rint(grey / 255 * (2**bits - 1)).astype(np.uint16))
            assert np.abs(np.asarray(decode(deep), dtype=np.float64) - jpeg).mean() < 2


def test_a_narrow_band_is_stretched(tmp_path: Path) -> None:
    thermal = [saved(np.rint(7_500 + picture8(at) / 255 * 200).astype(np.uint16)) for at in range(24)]
    data = read(table(tmp_path, thermal))
    assert data.task.images.integers == (7_500, 7_700)
    assert all(np.ptp(np.asarray(decode(one))) > 200 for one in data.train.inputs())  # type: ignore[arg-type]
    assert "faint" not in kinds(data)


def test_held_out_pictures_do_not_set_the_rule(tmp_path: Path) -> None:
    deep = [saved(np.rint(picture8(at) * 16).astype(np.uint16)) for at in range(24)]
    bright = [saved(np.rint(picture8(at) * 257).astype(np.uint16)) for at in range(100, 110)]
    data = read(table(tmp_path, deep), test=table(tmp_path, bright, "test.parquet"))
    assert data.task.images.integers == (0, 4_095)


def icon(seed: int, colour: tuple[int, int, int]) -> bytes:
    drawn = np.zeros((32, 32, 4), dtype=np.uint8)
    drawn[..., :3] = colour
    drawn[..., 3] = np.where(picture8(seed) > 128, 255, 0)
    return saved(drawn)


@pytest.mark.parametrize(
    ("colours", "background"),
    [([(0, 0, 0)], 255), ([(255, 255, 255)], 0), ([(0, 0, 0), (255, 255, 255)], 128), ([(250, 250, 252)], 0)],
)
def test_icons_stay_visible_on_one_background(tmp_path: Path, colours: list[Any], background: int) -> None:
    icons = [icon(at, colours[at % len(colours)]) for at in range(24)]
    data = read(table(tmp_path, icons))
    assert data.task.images == Decoding(background=background)
    assert all(np.ptp(np.asarray(decode(one))) > 100 for one in data.train.inputs())  # type: ignore[arg-type]
    assert "blank" not in kinds(data)
    bank = np.asarray(picture(icons[0], data.task.images))
    shown = next(one for one, at in zip(data.train.inputs(), data.train.ids) if at == data.train.ids[0])
    assert bank.shape == np.asarray(decode(shown)).shape  # type: ignore[arg-type]


def test_poor_pictures_are_named(tmp_path: Path) -> None:
    images = [image(at) for at in range(40)]
    images[3] = saved(np.full((24, 24, 3), 200, np.uint8))
    images[5] = saved((rng.integers(0, 2, (24, 24)) * 16).astype(np.uint8))
    images[7] = saved(rng.integers(0, 255, (3, 60, 3), dtype=np.uint8))
    frames = [Image.open(io.BytesIO(image(at))).convert("P") for at in (90, 91)]
    out = io.BytesIO()
    frames[0].save(out, "GIF", save_all=True, append_images=frames[1:])
    images[9] = out.getvalue()
    clear = np.zeros((24, 24, 4), np.uint8)
    clear[..., 0] = rng.integers(0, 255, (24, 24))
    images[11] = saved(clear)
    data = read(table(tmp_path, images))
    assert finding(data, "blank").examples == ("data.parquet:4", "data.parquet:12")
    assert finding(data, "faint").examples == ("data.parquet:6",)
    assert finding(data, "strip").examples == ("data.parquet:8",)
    assert finding(data, "frames").examples == ("data.parquet:10",)


def test_look_alikes_of_two_classes_are_named(tmp_path: Path) -> None:
    images = [image(at, size=(64, 64)) for at in range(40)]
    images[4] = saved(np.asarray(Image.open(io.BytesIO(images[9]))), "BMP")
    data = read(table(tmp_path, images))
    assert finding(data, "conflict").examples == ("data.parquet:10 = data.parquet:5",)


def test_pictures_of_one_pixel_are_noted_and_no_crash(tmp_path: Path) -> None:
    data = read(table(tmp_path, [saved(np.full((1, 1, 3), at, np.uint8)) for at in range(40)]))
    assert finding(data, "blank").count == 40


def test_examples_take_their_own_rows_along(tmp_path: Path, csv_file: Callable[..., Path]) -> None:
    deep = [saved(np.rint(picture8(at) * 16).astype(np.uint16)) for at in range(200)]
    data = read(table(tmp_path, deep))
    two = data.train.take([3, 1])
    again = pickle.loads(pickle.dumps(two))
    assert len(pickle.dumps(two)) < len(pickle.dumps(data.train)) / 20
    assert again.inputs() == two.inputs()
    assert again.places([0, 1]) == two.places([0, 1])
    for at in range(24):
        (tmp_path / f"{at}.png").write_bytes(image(at))
    paths = read(csv_file([[f"{at}.png", "ab"[at % 2]] for at in range(24)], header=("file", "label"))).train.take([2])
    assert pickle.loads(pickle.dumps(paths)).inputs() == paths.inputs()


def test_a_rule_changes_only_what_it_is_about() -> None:
    rule = Decoding((0.0, 4_095.0), background=0)
    for data in (image(1), image(1, "JPEG")):
        np.testing.assert_array_equal(decode(data, decoding=rule), decode(data, decoding=ALONE))
