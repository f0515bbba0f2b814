"""A model sees a picture alike in training and prediction, whatever it is given as."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import headstart
from backbones.tiny import PlainNet


def net() -> PlainNet:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return PlainNet()


def fitted(folder: Path, arrays: dict[str, list[np.ndarray]]) -> list[Path]:
    for label, pictures in arrays.items():
        (folder / "photos" / label).mkdir(parents=True)
        for at, picture in enumerate(pictures):
            Image.fromarray(picture).save(folder / "photos" / label / f"{at}.png")
    headstart.fit(folder / "photos", net(), method="probe", trials=1, out="run", image_size=16)
    return [folder / "photos" / label / "0.png" for label in arrays]


def test_deep_greys_and_clear_pictures_are_predicted_as_they_were_learned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    levels = {"cold": 7_500, "warm": 7_640}
    paths = fitted(
        tmp_path,
        {k: [rng.integers(low, low + 60, (16, 16)).astype(np.uint16) for _ in range(30)] for k, low in levels.items()},
    )
    for path, label in zip(paths, levels):
        given = [path, str(path), path.read_bytes(), Image.open(path), np.asarray(Image.open(path))]
        found = headstart.predict("run", given, model=net())
        assert {one.label for one in found} == {label}
        assert all(one.probabilities == pytest.approx(found[0].probabilities, abs=1e-5) for one in found)


def test_white_icons_can_be_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)

    def icon(wide: bool) -> np.ndarray:
        drawn = np.full((16, 16, 4), 255, np.uint8)
        drawn[..., 3] = 0
        at = int(rng.integers(0, 12))
        drawn[slice(at, at + 4) if wide else slice(None), slice(None) if wide else slice(at, at + 4), 3] = 255
        return drawn

    made = {"lying": [icon(True) for _ in range(40)], "standing": [icon(False) for _ in range(40)]}
    fitted(tmp_path, made)
    for label, pictures in made.items():
        found = headstart.predict("run", [Image.fromarray(one) for one in pictures], model=net())
        assert sum(one.label == label for one in found) >= 36
