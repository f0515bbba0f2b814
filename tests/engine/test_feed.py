"""The feed of images: decoded once, also by worker processes; augmentation by its parts."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
import torch

import headstart.engine.feed.pictures as place
from backbones.tiny import tiny
from contract.settings import made
from headstart.core.errors import ConfigurationError
from headstart.data.images.augmentation import PARTS, parts_of
from headstart.engine.feed.augment import Augment
from headstart.engine.feed.feed import Feed

STEPS = [[np.arange(0, 5)], [np.arange(5, 12)]]


def feed(augment: str = "none", workers: int = 0, count: int = 12) -> Feed:
    backbone = tiny("timm_resnet")
    return Feed("train", made(backbone, "single_label", count, 1, 0), backbone, Augment(augment), workers)


def pixels(one: Feed, view: int | None = None) -> torch.Tensor:
    return torch.cat([micro.batch["pixel_values"] for (micro,) in one.micros(STEPS, view)])


@pytest.mark.parametrize("augment", ["none", "light"])
def test_worker_processes_decode_each_image_once(augment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, worked = feed(augment), feed(augment, workers=1)
    assert torch.equal(pixels(worked, 0), pixels(plain, 0))

    def gone(*arguments: Any, **options: Any) -> None:
        raise AssertionError("decoded again")

    monkeypatch.setattr(place, "decode", gone)  # the workers are forks of this process
    assert torch.equal(pixels(worked, 1), pixels(plain, 1))


def test_what_there_is_no_room_for_is_decoded_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place, "KEEP_BYTES", 5 * feed()._images([0], None)[0].numel())
    worked = feed(workers=1)
    expected = pixels(feed())
    for _ in range(2):
        assert torch.equal(pixels(worked), expected)
    assert len(worked.pictures.kept) == 5


def test_a_feed_that_is_sent_holds_no_other_rows() -> None:
    whole = feed(count=60)
    part = whole.examples.take([1, 2])
    assert len(pickle.dumps(part)) < len(pickle.dumps(whole.examples)) / 10


def test_parts_of_an_augmentation() -> None:
    assert parts_of("none") == ()
    assert parts_of("light") == ("shift",)
    assert parts_of("strong") == ("flip", "randaugment", "erase")
    assert parts_of("strong,no-flip") == parts_of("no-flip, strong") == ("randaugment", "erase")
    assert parts_of("colour,crop") == ("crop", "colour")
    assert parts_of("flip,mixup") == ("shift", "flip", "mixup")
    for wrong, message in (
        ("lite", "Did you mean 'light'"), ("light,no-flip", "leaves out flip"), ("mixup,cutmix", "one of"), ("", "''"),
        ("no-light", "'no-light'"),
    ):  # fmt: skip
        with pytest.raises(ConfigurationError, match=message):
            parts_of(wrong)


def test_each_part_does_what_it_says() -> None:
    picture = torch.arange(3 * 16 * 16, dtype=torch.int64).reshape(3, 16, 16).remainder(251).to(torch.uint8)
    views = [Augment("flip").image(picture, view, 0) for view in range(20)]
    mirrored = [torch.equal(view, picture.flip(2)) for view in views]
    assert all(torch.equal(view, picture) or mirror for view, mirror in zip(views, mirrored))
    assert 4 < sum(mirrored) < 16
    for name in PARTS:
        grey = Augment(name).image(picture[:1], 3, 0)
        assert (grey.shape, grey.dtype) == (picture[:1].shape, torch.uint8)
    level = torch.full((3, 16, 16), 100, dtype=torch.uint8)
    assert not all(torch.equal(Augment("colour").image(level, view, 0), level) for view in range(5))
    assert torch.equal(Augment("crop").image(level, 0, 0), level), "a crop of one colour is that colour"
    assert any((Augment("erase").image(level, view, 0) == 0).any() for view in range(20))
