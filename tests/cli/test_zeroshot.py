"""CLIP from end to end: trained on pairs, taken by compare, asked for labels in words and for captions."""

from __future__ import annotations

import io
import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from backbones.tiny import save
from cli.calling import PROBE, call, record, tree
from headstart.stats.predictions import Predictions

FEW = (
    "--set", "width=16", "--set", "batch_size=32", "--set", "epochs=15", "--set", "augment=none",
    "--set", "learning_rate=6e-3", "--quiet",
)  # fmt: skip
IMAGE = ("--set", "channels=8,8,16,16", "--set", "image=resnet10t", "--set", "image_size=24", *FEW)
VOCABULARY = ("--set", "vocabulary=400")
SMALL = (*IMAGE, *VOCABULARY)
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
    done = call(
        *asked, "--label", "colour", "--template", "a thing that is {}", "--template", "a sign that is {}", "--json"
    ).expect(0)
    found = json.loads(done.out)
    assert found["value"] > 0.9
    assert found["low"] <= found["value"] <= found["high"]
    assert found["examples"] == 60
    text = call(*asked, "--label", "colour", "--template", "a sign that is {}").expect(0).out
    assert "60 images of 3 classes" in text
    assert "column" not in text
    found = pq.read_table("other.parquet").select(["image", "colour"]).rename_columns(["image", "kind"])
    pq.write_table(found, "kinds.parquet")
    told = call("zeroshot", "kinds.parquet", "--model", "clip").expect(0).out
    assert told.rstrip().endswith("labels from the column 'kind'"), "a column that was guessed is named"


def test_captions_and_pictures_find_each_other(here: Path) -> None:
    told = json.loads(
        call("zeroshot", "other.parquet", "--model", "clip", "--captions", "caption", "--json").expect(0).out
    )
    assert told["pairs"] == 60
    assert told["texts"]["10"] >= told["texts"]["1"]
    # a ninth of the captions are right by chance, a third where the colour is known
    assert told["texts"]["1"] > 0.2
    assert told["images"]["1"] > 0.2


def test_of_a_folder_with_a_test_split_that_alone_is_asked(here: Path) -> None:
    (here / "split").mkdir()
    pairs(here / "split" / "train.parquet", 60)
    pairs(here / "split" / "test.parquet", 30, seed=2)
    asked = ("zeroshot", "split", "--model", "clip", "--captions", "caption")
    assert "30 pairs (test); by chance" in call(*asked).expect(0).out
    assert "60 pairs (train); by chance" in call(*(asked[0], "other.parquet", *asked[2:])).expect(0).out


def test_pictures_without_labels_get_one(here: Path) -> None:
    Image.new("RGB", (40, 30), COLOURS["blue"]).save(here / "sky.png")
    asked = ("zeroshot", "sky.png", "--model", "clip", "--labels", "red,green,blue", "--template", "a sign that is {}")
    lines = call(*asked).expect(0).out.splitlines()
    assert lines[0] == "input,prediction,confidence,p_red,p_green,p_blue,error"
    assert lines[1].startswith("sky.png,blue,")
    told = json.loads(call(*asked, "--json").expect(0).out)
    assert told["prediction"] == "blue"
    assert sum(told[f"p_{name}"] for name in ("red", "green", "blue")) == pytest.approx(1, abs=1e-5)
    (here / "broken.png").write_bytes(b"no image")
    done = call(asked[0], "broken.png", *asked[1:]).expect(4)
    assert [line.split(",")[1] for line in done.out.splitlines()[1:]] == ["", "blue"]
    call(*asked[:4], "--labels", "red,blue,red").refused("names red twice")


def test_the_tower_for_pictures_is_a_backbone(here: Path) -> None:
    asked = ("compare", "other.parquet", "--text", "image", "--label", "colour", "--model", "clip")
    call(*asked, *PROBE, "--out", "run").expect(0)
    assert record(here / "run")["rows"][0]["value"] > 0.9
    assert record(here / "run")["model"]["dimension"] == 16
    call("predict", "run", "other.parquet").expect(0)


def test_a_locked_tower_keeps_its_bits(here: Path) -> None:
    from safetensors.torch import load_file

    more = ("--set", "image=clip/image", "--set", "text=clip/text", "--set", "lock=image", "--set", "epochs=2")
    call("pretrain", "clip", "train.parquet", "--out", "locked", *FEW, *more).expect(0)
    for part, kept in (("image", True), ("text", False)):
        before, after = (load_file(here / name / part / "model.safetensors") for name in ("clip", "locked"))
        assert all(torch.equal(before[name], after[name]) for name in before) == kept
    (told,) = (one for one in json.loads(call("runs", "--json").expect(0).out) if Path(one["folder"]).name == "locked")
    report = json.loads((here / "locked" / "pretrained.json").read_text())
    assert told["model"] == report["base"] == "clip/image, clip/text", "not from scratch"
    assert (told["metric"], told["value"]) == ("recall_at_10", report["held_out"]["after"]["texts"]["10"])
    assert json.loads((here / "clip" / "pretrained.json").read_text())["base"] is None


def test_a_tower_that_timm_holds_keeps_its_weights_and_its_size(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """timm's own weights are out of reach here: drawn ones stand for them."""
    from safetensors.torch import load_file

    from headstart.pretraining.artifacts import pairs as pretrained_pairs

    plain, was = pretrained_pairs.load, {}

    def drawn(source: Any, **options: Any) -> Any:
        backbone = plain(source, **options, weights=not str(source).startswith("timm/"))
        if str(source).startswith("timm/"):
            was.update({name: value.clone() for name, value in backbone.module.state_dict().items()})
        return backbone

    monkeypatch.setattr(pretrained_pairs, "load", drawn)
    more = ("--set", "image=timm/test_resnet.r160_in1k", "--set", "lock=image", "--set", "epochs=1")
    call("pretrain", "clip", "train.parquet", "--text", "caption", "--out", "tower", *FEW, *VOCABULARY, *more).expect(0)
    kept = load_file(here / "tower" / "image" / "model.safetensors")
    assert was.keys() == kept.keys()
    assert all(torch.equal(value, kept[name]) for name, value in was.items())
    config = json.loads((here / "tower" / "image" / "config.json").read_text())
    assert config["architecture"] == "test_resnet"
    assert config["pretrained_cfg"]["input_size"] == [3, 160, 160]


def test_an_interrupted_training_comes_to_the_same_towers(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from safetensors.torch import load_file

    from headstart.engine.state import checkpoint as checkpoints
    from headstart.pretraining.jobs.pairs import PairTraining

    monkeypatch.setattr(checkpoints.Checkpoint, "due", property(lambda self: True))
    asked = ("pretrain", "clip", "train.parquet", *SMALL, "--set", "epochs=3", "--set", "augment=light", "--out")
    call(*asked, "whole").expect(0)
    loss, calls = PairTraining.losses, 0

    def stopping(self: PairTraining, *arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 5:
            raise KeyboardInterrupt
        return loss(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(PairTraining, "losses", stopping)
        assert call(*asked, "stopped").code == 130
    call(*asked, "stopped").expect(0)
    for file in ("model.safetensors", "image/model.safetensors", "text/model.safetensors"):
        one, two = (load_file(here / name / file) for name in ("whole", "stopped"))
        assert all(torch.equal(one[name], two[name]) for name in one)


def test_what_was_interrupted_with_other_settings_is_not_gone_on_from(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from headstart.engine.state import checkpoint as checkpoints
    from headstart.pretraining.jobs.pairs import PairTraining

    asked = ("pretrain", "clip", "train.parquet", *SMALL, "--set", "epochs=1", "--out")

    loss, calls = PairTraining.losses, 0

    def stopping(self: PairTraining, *arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise KeyboardInterrupt
        return loss(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(PairTraining, "losses", stopping)
        patch.setattr(checkpoints.Checkpoint, "due", property(lambda self: True))
        assert call(*asked, "changed", "--text", "caption").code == 130
    assert list((here / "changed" / "unfinished").glob("checkpoint*")), "there is one that could be taken for its own"
    call(*asked, "changed", "--text", "colour", "--set", "length=8", "--set", "text=mini").expect(0)
    call(*asked, "fresh", "--text", "colour", "--set", "length=8", "--set", "text=mini").expect(0)
    for file in ("text/config.json", "text/tokenizer.json", "text/model.safetensors", "image/model.safetensors"):
        assert (here / "changed" / file).read_bytes() == (here / "fresh" / file).read_bytes(), file


def test_a_text_tower_keeps_its_pooling_and_reads_as_much_as_it_learnt(here: Path) -> None:
    from headstart.backbones.loaders.load import two_towers

    save("bert", here / "pooled")
    (here / "pooled" / "1_Pooling").mkdir()
    (here / "pooled" / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_cls_token": True}))
    more = ("--set", "text=pooled", "--set", "epochs=1", "--set", "length=8")
    call("pretrain", "clip", "train.parquet", "--text", "caption", "--out", "cls", *IMAGE, *more).expect(0)
    towers = two_towers("cls")
    assert towers.text_preparation.max_length == 8
    long, cut = (towers.read([f"a thing that is red{more}"]) for more in (" and green" * 9, " and green" * 20))
    assert torch.equal(long, cut)


def test_towers_that_read_otherwise_are_an_error(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from headstart.pretraining.artifacts import pairs as pretrained_pairs

    write = pretrained_pairs.write_tensors

    def broken(path: Path, tensors: Any, metadata: Any) -> None:
        write(path, {n: -v if n == "text_projection.weight" else v for n, v in tensors.items()}, metadata)

    monkeypatch.setattr(pretrained_pairs, "write_tensors", broken)
    call("pretrain", "clip", "train.parquet", "--out", "broken", *SMALL, "--set", "epochs=1").refused("read again")
    assert not (here / "broken" / "pretrained.json").exists()


def test_a_chunk_is_never_a_single_picture_and_pairs_never_too_few(here: Path) -> None:
    sizes = ("--set", "batch_size=33", "--set", "chunk=32", "--set", "epochs=1", "--set", "image_size=32")
    call("pretrain", "clip", "train.parquet", "--out", "odd", *SMALL, *sizes).expect(0)
    pairs(here / "ten.parquet", 10)
    call("pretrain", "clip", "ten.parquet", "--out", "ten", *SMALL, "--set", "epochs=2").expect(0)
    told = json.loads((here / "ten" / "pretrained.json").read_text())
    assert told["corpus"]["held_out"] >= 2
    assert all(point["validation_loss"] > 0 for point in told["curve"]), "a single pair is told from no other"
    pairs(here / "few.parquet", 2)
    call("pretrain", "clip", "few.parquet", "--out", "few", *SMALL).refused("2 pairs are too few")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("zeroshot", "other.parquet", "--model", "clip", "--labels", "red"), ("two labels or more",)),
        (("zeroshot", "other.parquet", "--model", "clip", "--labels", "red,red"), ("there is only 'red'",)),
        (
            ("pretrain", "clip", "train.parquet", "--out", "x", "--set", "text=clip/text", *VOCABULARY),
            ("vocabulary is of a new tokenizer", "leave it out"),
        ),
        (("pretrain", "clip", "train.parquet", "--out", "x", "--set", "chunk=1"), ("chunk is 1", "at least 2 pairs")),
        (("zeroshot", "other.parquet", "--model", "clip", "--labels", "a,b", "--template", "x"), ("has no place",)),
        (("zeroshot", "other.parquet", "--model", "clip", "--labels", "a,b", "--template", "{} {x}"), ("holds {x}",)),
        (("zeroshot", "other.parquet", "--model", "clip", "--labels", ""), ("two labels or more", "there is none")),
        (("zeroshot", "other.parquet", "--model", "clip", "--captions", "said"), ("no column 'said'",)),
        (("zeroshot", "other.parquet", "--model", "clip/image", "--labels", "a,b"), ("clip/image",)),
        (("zeroshot", "other.parquet", "--model", "clip", "--labels", "a,b", "--captions", "caption"), ("retrieval",)),
        (("pretrain", "clip", "train.parquet", "--text", "said", "--out", "x"), ("no column 'said'",)),
        (("pretrain", "clip", "train.parquet", "--out", "x", "--set", "image=resnt18"), ("resnt18",)),
        (("pretrain", "clip", "train.parquet", "--out", "x", "--set", "text=nowhere/x/y"), ("nowhere/x/y",)),
        (
            ("pretrain", "clip", "train.parquet", "--out", "x", "--set", "text=huge"),
            ("folder huge", "tiny, mini, small"),
        ),
        (
            ("pretrain", "clip", "train.parquet", "--out", "x", "--set", "channels=8,8"),
            ("channels are 8, 8", "not 2 stages"),
        ),
        (("pretrain", "clip", "train.parquet", "--out", "x", "--from", "clip"), ("two towers",)),
        (("pretrain", "mlm", "train.parquet", "--out", "x"), ("holds images (image)", "--text")),
        (("pretrain", "clip", "train.parquet", "--out", "x", "--set", "batch_size=1"), ("batch_size is 1",)),
        (
            ("pretrain", "clip", "train.parquet", "--out", "x", "--set", "image=clip/image", "--set", "image_size=32"),
            ("image_size is of a new network", "clip/image is one that exists"),
        ),
        (
            ("pretrain", "clip", "train.parquet", "--out", "x", "--set", "image=clip/image", "--set", "image_size=48"),
            ("image_size is of a new network",),  # also as it is by default
        ),
    ],
)
def test_mistakes(here: Path, arguments: tuple[str, ...], words: tuple[str, ...]) -> None:
    before = tree(here / "clip")
    call(*arguments).refused(*words)
    assert tree(here / "clip") == before
    assert not (here / "x" / "pretrained.json").exists()


WORDS = ("--set", "words=a thing that is {}", "--label", "colour", "--seeds", "1", "--trials", "1", "--epochs", "1")


def test_the_zero_shot_classifier_is_a_method_and_where_others_begin(here: Path) -> None:
    """The row `zeroshot` says what `headstart zeroshot` says of each picture, and what does not move from there too."""
    still = [setting for name in ("lora", "full") for setting in ("--set", f"{name}.learning_rate=1e-12")]
    methods = ("--methods", "zeroshot,probe,full,lora,wiseft", *WORDS, *still, "--set", "probe.penalty=1e9")
    call("compare", "other.parquet", "--model", "clip", *methods, "--set", "wiseft.shares=0",
         "--out", "all", "--quiet").expect(0)  # fmt: skip
    found = record(here / "all")
    rows = {row["method"]: row for row in found["rows"]}
    assert {row["status"] for row in rows.values()} == {"ok"}
    assert rows["zeroshot"]["value"] > 0.9
    assert rows["zeroshot"]["trained_parameters"] == 0
    assert json.loads((here / "clip" / "pretrained.json").read_text())["corpus"]["captions"] == ["caption"]
    said = {name: Predictions.read(here / "all" / "predictions" / f"{name}-seed0.safetensors") for name in rows}
    for name in ("full", "lora", "wiseft"):
        np.testing.assert_allclose(said[name].scores, said["zeroshot"].scores, atol=0.02, err_msg=name)
    # no penalty holds the probe's biases, and each has its temperature: its logits are those of the words, stretched
    # alike for all, plus a number a class
    probe, words = (np.log(said[name].scores) for name in ("probe", "zeroshot"))
    probe, words = (logits - logits.mean(1, keepdims=True) for logits in (probe, words))
    apart = [logits - logits.mean(0) for logits in (probe, words)]
    stretch = (apart[0] * apart[1]).sum() / (apart[1] ** 2).sum()
    assert stretch > 0
    np.testing.assert_allclose(apart[0], stretch * apart[1], atol=0.1)
    told = call("zeroshot", "other.parquet", "--model", "clip", "--labels", ",".join(sorted(COLOURS)),
                "--template", "a thing that is {}").expect(0).out  # fmt: skip
    answers = [line.split(",")[1] for line in told.splitlines()[1:]]
    labels = sorted(COLOURS)
    mine = [labels[best] for best in said["zeroshot"].scores.argmax(1)]
    assert mine == [answers[number] for number in said["zeroshot"].ids]


@pytest.mark.parametrize("changed", [{"width": None}, {"length": "long"}])
def test_a_damaged_configuration_is_told(here: Path, tmp_path: Path, changed: dict[str, Any]) -> None:
    shutil.copytree("clip", tmp_path / "damaged")
    config = tmp_path / "damaged" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), **changed}))
    call("zeroshot", "other.parquet", "--model", tmp_path / "damaged", "--label", "colour").refused("whole numbers")


def test_words_need_a_tower_for_texts_and_a_place_for_the_label(here: Path) -> None:
    asked = ("compare", "other.parquet", "--methods", "probe", "--label", "colour", "--quiet")
    call(*asked, "--set", "words=a {}").refused("no text tower", "CLIP or SigLIP")
    call(*asked, "--model", "clip", "--set", "words=a thing").refused("'a thing'", "put {} where it goes")
    call("compare", "other.parquet", "--methods", "zeroshot", "--label", "colour", "--quiet").refused("text tower")


def test_a_check_of_what_words_still_find(here: Path) -> None:
    """The base answers as `zeroshot` does; tuning from a random head at a wild rate tears the space apart, which is
    seen; tuning that stands still does not."""
    told = [setting for name in ("zeroshot", "lora") for setting in ("--set", f"{name}.words=a thing that is {{}}")]
    call("compare", "other.parquet", "--model", "clip", "--methods", "zeroshot,full,lora", *WORDS[2:], *told, "--keep",
         "--set", "full.learning_rate=0.1", "--set", "lora.learning_rate=1e-12", "--out", "judged",
         "--quiet").expect(0)  # fmt: skip
    (here / "suite.toml").write_text(
        '[[check]]\nkind = "zeroshot"\ntemplates = ["a thing that is {}"]\ntolerance = 0.1\n'
    )
    done = call("evaluate", "judged", "--suite", "suite.toml", "--methods", "full,lora", "--json", "--quiet")
    told = {one["name"].partition(" ")[0]: one["checks"][0] for one in json.loads(done.out)["models"]}
    rows = {row["method"]: row for row in record(here / "judged")["rows"]}
    assert told["lora"]["base"]["value"] == pytest.approx(rows["zeroshot"]["value"])
    assert told["lora"]["tuned"]["value"] == told["lora"]["base"]["value"]
    assert told["full"]["tuned"]["value"] < 0.7
    (here / "builtin.toml").write_text('[[check]]\nkind = "zeroshot"\n')
    call("compare", "other.parquet", "--methods", "probe,full", *WORDS[2:], "--out", "glance", "--keep",
         "--quiet").expect(0)  # fmt: skip
    call("evaluate", "glance", "--suite", "builtin.toml", "--methods", "full", "--quiet").refused("no tower for texts")
