"""CLIP from end to end: trained on pairs, taken by compare, asked for labels in words and for captions."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from cli.calling import PROBE, call, record, tree

SMALL = (
    "--set", "channels=8,8,16,16", "--set", "image=resnet10t", "--set", "image_size=24", "--set", "width=16",
    "--set", "batch_size=32", "--set", "vocabulary=400", "--set", "epochs=30", "--set", "augment=none",
    "--set", "learning_rate=3e-3", "--quiet",
)  # fmt: skip
COLOURS = {"red": (220, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 220)}


def pairs(path: Path, count: int = 120, seed: int = 0) -> Path:
    """Pictures of one colour, and captions that name it."""
    rng = np.random.default_rng(seed)
    rows: dict[str, list[Any]] = {"image": [], "caption": [], "colour": []}
    for at in range(count):
        name = list(COLOURS)[at % 3]
        pixels = np.clip(np.array(COLOURS[name]) + rng.normal(0, 25, (24, 24, 3)), 0, 255).astype(np.uint8)
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "PNG")
        rows["image"].append({"bytes": file.getvalue(), "path": None})
        rows["caption"].append(f"a {rng.choice(['thing', 'picture', 'sign'])} that is {name}")
        rows["colour"].append(name)
    pq.write_table(pa.table(rows), path)
    return path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("clip")
    pairs(place / "train.parquet")
    pairs(place / "other.parquet", 60, seed=1)
    before = Path.cwd()
    os.chdir(place)
    try:
        call("pretrain", "clip", "train.parquet", "--text", "caption", "--out", "clip", *SMALL).expect(0)
    finally:
        os.chdir(before)
    return place


@pytest.fixture
def here(made: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(made)
    return made


def test_classes_told_in_words_are_found(here: Path) -> None:
    asked = ("zeroshot", "other.parquet", "--model", "clip")
    done = call(*asked, "--label", "colour", "--template", "a thing that is {}", "--template", "{}", "--json").expect(0)
    found = json.loads(done.out)
    assert found["value"] > 0.9
    assert found["low"] <= found["value"] <= found["high"]
    assert found["examples"] == 60
    text = call(*asked, "--label", "colour", "--template", "a sign that is {}").expect(0).out
    assert "60 images of 3 classes" in text


def test_captions_and_pictures_find_each_other(here: Path) -> None:
    told = json.loads(
        call("zeroshot", "other.parquet", "--model", "clip", "--captions", "caption", "--json").expect(0).out
    )
    assert told["pairs"] == 60
    assert told["texts"]["10"] >= told["texts"]["1"]
    # a ninth of the captions are right by chance, a third where the colour is known
    assert told["texts"]["1"] > 0.2
    assert told["images"]["1"] > 0.2


def test_pictures_without_labels_get_one(here: Path) -> None:
    Image.new("RGB", (40, 30), COLOURS["blue"]).save(here / "sky.png")
    asked = ("zeroshot", "sky.png", "--model", "clip", "--labels", "red,green,blue", "--template", "a sign that is {}")
    lines = call(*asked).expect(0).out.splitlines()
    assert lines[0] == "input,label,red,green,blue"
    assert lines[1].startswith("sky.png,blue,")
    told = json.loads(call(*asked, "--json").expect(0).out)
    assert told["label"] == "blue"
    assert sum(told["probabilities"].values()) == pytest.approx(1)


def test_the_tower_for_pictures_is_a_backbone(here: Path) -> None:
    asked = ("compare", "other.parquet", "--text", "image", "--label", "colour", "--model", "clip")
    call(*asked, *PROBE, "--out", "run").expect(0)
    assert record(here / "run")["rows"][0]["value"] > 0.9
    assert record(here / "run")["model"]["dimension"] == 16
    call("predict", "run", "other.parquet").expect(0)


def test_a_locked_tower_keeps_its_bits(here: Path) -> None:
    from safetensors.torch import load_file

    more = ("--set", "image=clip/image", "--set", "text=clip/text", "--set", "lock=image", "--set", "epochs=2")
    call("pretrain", "clip", "train.parquet", "--out", "locked", *SMALL, *more).expect(0)
    for part, kept in (("image", True), ("text", False)):
        before, after = (load_file(here / name / part / "model.safetensors") for name in ("clip", "locked"))
        assert all(torch.equal(before[name], after[name]) for name in before) == kept


def test_an_interrupted_training_comes_to_the_same_towers(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from safetensors.torch import load_file

    from headstart.engine import checkpoint as checkpoints
    from headstart.engine.pairs import PairTraining

    monkeypatch.setattr(checkpoints.Checkpoint, "due", property(lambda self: True))
    asked = ("pretrain", "clip", "train.parquet", *SMALL, "--set", "epochs=3", "--set", "augment=light", "--out")
    call(*asked, "whole").expect(0)
    loss, calls = PairTraining.loss, 0

    def stopping(self: PairTraining, *arguments: Any) -> torch.Tensor:
        nonlocal calls
        calls += 1
        if calls == 5:
            raise KeyboardInterrupt
        return loss(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(PairTraining, "loss", stopping)
        assert call(*asked, "stopped").code == 130
    call(*asked, "stopped").expect(0)
    for file in ("model.safetensors", "image/model.safetensors", "text/model.safetensors"):
        one, two = (load_file(here / name / file) for name in ("whole", "stopped"))
        assert all(torch.equal(one[name], two[name]) for name in one)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("zeroshot", "other.parquet", "--model", "clip", "--labels", "red"), ("two labels or more",)),
        (("zeroshot", "other.parquet", "--model", "clip", "--labels", "a,b", "--template", "x"), ("has no place",)),
        (("zeroshot", "other.parquet", "--model", "clip", "--captions", "said"), ("no column 'said'",)),
        (("zeroshot", "other.parquet", "--model", "clip/image", "--labels", "a,b"), ("clip/image",)),
        (("zeroshot", "other.parquet", "--model", "clip", "--labels", "a,b", "--captions", "caption"), ("retrieval",)),
        (("pretrain", "clip", "train.parquet", "--text", "said", "--out", "x"), ("no column 'said'",)),
        (("pretrain", "clip", "train.parquet", "--out", "x", "--set", "image=resnt18"), ("resnt18",)),
        (("pretrain", "clip", "train.parquet", "--out", "x", "--set", "text=nowhere/x/y"), ("nowhere/x/y",)),
        (("pretrain", "clip", "train.parquet", "--out", "x", "--from", "clip"), ("two towers",)),
        (("pretrain", "clip", "train.parquet", "--out", "x", "--set", "batch_size=1"), ("batch_size is 1",)),
    ],
)
def test_mistakes(here: Path, arguments: tuple[str, ...], words: tuple[str, ...]) -> None:
    before = tree(here / "clip")
    call(*arguments).refused(*words)
    assert tree(here / "clip") == before
    assert not (here / "x" / "pretrained.json").exists()
