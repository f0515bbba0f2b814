"""Texts become ragged ids and right-padded batches; images become what their library would make of them."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image

from headstart.backbones.inputs.preparation import ImagePreparation, TextPreparation
from headstart.core.errors import ArtifactError, ConfigurationError

from . import tiny


def picture(width: int = 61, height: int = 47, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8))


def test_pad_equal_to_end_keeps_the_end_visible() -> None:
    tokenizer = tiny.bytelevel()
    assert tokenizer.pad_token_id is None
    preparation = TextPreparation(tokenizer, 64)
    batch = preparation.collate(preparation.encode(["a<|endoftext|>", "abcd"]))
    assert preparation.pad_id == tokenizer.eos_token_id == 0
    assert batch["input_ids"][0].tolist()[1:] == [0, 0, 0]
    assert batch["attention_mask"].tolist() == [[1, 1, 0, 0], [1, 1, 1, 1]]


def test_an_empty_text_has_a_token() -> None:
    preparation = TextPreparation(tiny.bytelevel(), 64)
    assert [len(e["input_ids"]) for e in preparation.encode(["", "a"])] == [1, 1]


def test_pairs_truncation_and_types() -> None:
    preparation = TextPreparation(tiny.wordpiece(), 9)
    (one,), (pair,) = preparation.encode(["the film was good"]), preparation.encode([("the film", "was good")])
    assert "token_type_ids" not in one
    assert pair["token_type_ids"].tolist() == [0, 0, 0, 0, 1, 1, 1]
    batch = preparation.collate([one, pair])
    assert batch["token_type_ids"].tolist() == [[0] * 7, [0, 0, 0, 0, 1, 1, 1]]
    assert len(preparation.encode(["good " * 50])[0]["input_ids"]) == 9
    with pytest.raises(ConfigurationError, match="mixed"):
        preparation.encode(["a", ("b", "c")])
    decoder = TextPreparation(tiny.bytelevel(), 64)
    assert len(decoder.encode([("a", "b")])[0]["input_ids"]) == 3  # a, a line break, b


def test_text_json() -> None:
    preparation = TextPreparation(tiny.wordpiece(), 20)
    value = json.loads(json.dumps(preparation.to_json()))
    assert TextPreparation.from_json(value, tiny.wordpiece()).max_length == 20
    with pytest.raises(ArtifactError, match="tokenizer"):
        TextPreparation.from_json(value, tiny.bytelevel())


@pytest.mark.parametrize("size", [(61, 47), (47, 61), (32, 32), (200, 33)])
@pytest.mark.parametrize("share", [1.0, 0.875])
@pytest.mark.parametrize("mode", ["crop", "squash"])
def test_images_as_timm_prepares_them(size: tuple[int, int], share: float, mode: str) -> None:
    from timm.data import create_transform

    mean, std = (0.5, 0.4, 0.3), (0.2, 0.3, 0.4)
    theirs = create_transform(
        (3, 32, 32), mean=mean, std=std, interpolation="bicubic", crop_pct=share,
        crop_mode="squash" if mode == "squash" else "center",
    )  # fmt: skip
    ours = ImagePreparation((32, 32), mean, std, "bicubic", share, mode)
    if mode == "squash" and share < 1:
        pytest.skip("timm squashes and then crops; its models with squash keep everything")
    torch.testing.assert_close(ours.prepare(picture(*size)), theirs(picture(*size)), rtol=0, atol=1e-5)


def test_images_json_and_grey() -> None:
    ours = ImagePreparation((16, 16), (0.5,), (0.5,), "bilinear", 0.9)
    assert ImagePreparation.from_json(json.loads(json.dumps(ours.to_json()))) == ours
    assert ours.prepare(picture()).shape == (1, 16, 16)
    assert ours.collate([ours.prepare(picture())] * 2)["pixel_values"].shape == (2, 1, 16, 16)
    colour = ImagePreparation((16, 16), (0.5,) * 3, (0.5,) * 3)
    assert colour.prepare(picture().convert("RGBA")).shape == (3, 16, 16)


@pytest.mark.parametrize("size", [(10_000, 1), (1, 40_000), (9_000, 30)])
def test_a_thin_strip_is_cut_before_it_is_resized(size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    strip = picture(*size)
    ours = ImagePreparation((8, 8), (0.0,) * 3, (1.0,) * 3, "bilinear", 0.875)
    short = ours.resize_and_crop(strip)
    targets = []
    plain = Image.Image.resize
    monkeypatch.setattr(Image.Image, "resize", lambda self, to, *rest: targets.append(to) or plain(self, to, *rest))
    assert np.array_equal(ours.resize_and_crop(strip), short)
    assert max(targets[0]) <= 64 * 9 + 64
    monkeypatch.setattr("headstart.backbones.inputs.image_preparation.LONGEST", 10**9)
    apart = np.asarray(ours.resize_and_crop(strip), dtype=int) - np.asarray(short, dtype=int)
    assert np.abs(apart).max() <= 3, "the crop shows the same as without the cut"
    assert ImagePreparation((8, 8), (0.0,) * 3, (1.0,) * 3, mode="squash").prepare(strip).shape == (3, 8, 8)


def test_images_are_batched_by_their_pixels() -> None:
    sides = {16: 256, 224: 32, 448: 8, 4_000: 1}
    for side, count in sides.items():
        assert ImagePreparation((side, side), (0.5,), (0.5,)).at_once(8_192) == count
