"""`pretrain`: a tiny backbone from images, and what it must never write over."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.calling import PROBE, call, images, record, tree

TINY = ("--set", "architecture=resnet10t", "--set", "channels=8,8,8,8", "--set", "image_size=24", "--set", "epochs=1")


def test_a_backbone_that_compare_takes(here: Path) -> None:
    images(here / "photos", 60)
    done = call("pretrain", "classify", "photos", "--out", "backbone", *TINY, "--quiet").expect(0)
    assert "--model backbone" in done.out
    assert {p.name for p in (here / "backbone").iterdir()} == {"config.json", "model.safetensors", "pretrained.json"}
    call("compare", "photos", "--model", "backbone", *PROBE, "--out", "run").expect(0)
    assert record(here / "run")["model"]["source"] == "backbone"
    before = tree(here / "backbone")
    again = call("pretrain", "classify", "photos", "--out", "backbone", *TINY)
    again.refused("already holds a pretrained backbone")
    assert tree(here / "backbone") == before


def test_what_goes_on_from_a_backbone_is_of_its_architecture(here: Path) -> None:
    images(here / "photos", 60)
    few = ("--set", "epochs=1", "--set", "image_size=24", "--quiet")
    call("pretrain", "classify", "photos", "--from", "resnet", "--out", "further", *few).expect(0)
    told, was = (json.loads((here / name / "config.json").read_text()) for name in ("further", "resnet"))
    assert told == was
    written = json.loads((here / "further" / "pretrained.json").read_text())["configuration"]
    assert written["architecture"] == was["architecture"]
    call("compare", "photos", "--model", "further", *PROBE, "--out", "run").expect(0)
    call("pretrain", "classify", "photos", "--from", "bert", "--out", "other", *few).refused("no timm architecture")


def test_what_is_there_is_not_written_over(here: Path) -> None:
    images(here / "photos")
    before = tree(here)
    call("pretrain", "classify", "photos", "--out", "photos", *TINY).refused("photos exists and holds other things")
    call("pretrain", "classify", "photos", "--out", ".", *TINY).refused("holds other things")
    call("pretrain", "classify", "photos", "--out", "bert", *TINY).refused("holds other things")
    call("pretrain", "classify", "photos", "--out", "reviews.csv", *TINY).refused("is a file")
    call("pretrain", "classify", "photos", "--out", "reviews.csv/x", *TINY).refused("Not a directory")
    assert tree(here) == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nothing/at/all",), ("nothing/at/all",)),
        (("reviews.csv",), ("reviews can't be used", "images")),
        (("photos", "--set", "epohs=3"), ("Did you mean 'epochs'?",)),
        (("photos", "--set", "epochs=0"), ("epochs is 0",)),
        (("photos", "--set", "image_size=0"), ("image_size is 0",)),
        (("photos", "--set", "learning_rate=0"), ("learning_rate is 0",)),
        (("photos", "--from", "./missing"), ("no folder ./missing",)),
        (("photos", "--workers", "-1"), ("--workers",)),
    ],
)
def test_bad_input(here: Path, arguments: tuple[str, ...], words: tuple[str, ...]) -> None:
    images(here / "photos")
    call("pretrain", "classify", *arguments, "--out", "backbone").refused(*words)
    assert not any((here / "backbone").rglob("*"))


def test_an_architecture_that_is_unknown(here: Path) -> None:
    images(here / "photos")
    call("pretrain", "classify", "photos", "--out", "backbone", "--set", "architecture=resnt18").refused("resnt18")
    call("pretrain", "classify", "photos", "--out", "backbone", *TINY, "--quiet").expect(0)
