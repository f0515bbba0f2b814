"""The contract of answers: an input is answered alike however it is given, and an export answers as its run does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from backbones.tiny import tiny
from headstart.artifacts.exchange.exporting import export_run
from headstart.artifacts.predictor import Predictor
from headstart.backbones.backbone import Backbone
from headstart.data.images.image import picture
from headstart.engine.adapt import adapted

from .settings import LABELS, method_of, save_adapted, setting_of


def run_of(backbone: Backbone, name: str, place: Path, **settings: Any) -> Path:
    setting, method = setting_of(backbone, epochs=1), method_of(name, **settings)
    with adapted(setting, method, 0) as done:
        save_adapted(place / "run" / "model", done, name, method, setting)
    return place / "run"


def pictures() -> dict[str, Image.Image]:
    """What `convert("RGB")` reads otherwise than it was meant: transparency, a palette, 16 bits, a turned photo."""
    grey = np.linspace(0, 60_000, 24 * 20).reshape(24, 20)
    colours = np.random.default_rng(0).integers(0, 256, (24, 20, 4), dtype=np.uint8)
    return {
        "plain": Image.fromarray(colours[..., :3]),
        "clear": Image.fromarray(colours),
        "palette": Image.fromarray(colours[..., :3]).convert("P"),
        "grey": Image.fromarray(colours[..., 0]),
        "deep": Image.fromarray(grey.astype(np.uint16)),
    }


@pytest.mark.parametrize("name", ["vit", "timm_resnet", "plain"])
def test_a_picture_is_answered_alike_however_it_is_given(name: str, tmp_path: Path) -> None:
    """A path, the file's bytes, Pillow's image, an array, a tensor."""
    backbone = tiny(name)
    predictor = Predictor(run_of(backbone, "probe", tmp_path, reads="top"), backbone=backbone, device="cpu")
    for kind, image in pictures().items():
        file = tmp_path / f"{kind}.png"
        image.save(file)
        array = np.asarray(image.convert("RGB") if kind == "palette" else image)
        ways = [file, str(file), file.read_bytes(), Image.open(file), array, torch.from_numpy(array.astype(np.int32))]
        if array.ndim == 3:
            ways.append(torch.from_numpy(array.copy()).permute(2, 0, 1))
        scores = predictor.logits(ways)
        assert torch.equal(scores, scores[:1].expand_as(scores)), kind
    file = tmp_path / "turned.jpg"
    Image.fromarray(np.asarray(pictures()["plain"])).save(file, exif=_turned(), quality=95)
    upright = picture(file)
    assert upright.size == (24, 20)
    scores = predictor.logits([file, Image.open(file), upright, np.asarray(upright)])
    assert torch.equal(scores, scores[:1].expand_as(scores))
    predictor.close()


def _turned() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


@pytest.mark.parametrize(
    ("name", "method"),
    [
        ("gpt2", "lora"), ("llama", "full"), ("bert", "lora"),
        pytest.param("gpt2", "full", marks=pytest.mark.slow), pytest.param("llama", "lora", marks=pytest.mark.slow),
        pytest.param("bert", "full", marks=pytest.mark.slow),
    ],
)  # fmt: skip
def test_an_export_answers_texts_that_end_in_pad_and_end_tokens(name: str, method: str, tmp_path: Path) -> None:
    from transformers import pipeline

    backbone = tiny(name)
    run = run_of(backbone, method, tmp_path)
    export_run(run, tmp_path / "out", backbone=backbone)
    tokenizer = backbone.preparation.tokenizer  # type: ignore[attr-defined]
    ends = sorted({str(token) for token in tokenizer.all_special_tokens})
    texts = [
        "a good film",
        "a",
        "good " * 90,
        *(f"a good film{end}" for end in ends),
        *(f"so {end}{end}" for end in ends),
    ]
    predictor = Predictor(run, backbone=backbone, device="cpu", precision="fp32")
    wanted = predictor.scores(texts)
    predictor.close()
    classify = pipeline("text-classification", str(tmp_path / "out"), top_k=None, device="cpu")
    for row, found in zip(wanted, classify(texts, batch_size=len(texts), truncation=True)):
        told = {one["label"]: one["score"] for one in found}
        assert [told[label] for label in LABELS] == pytest.approx(row.tolist(), abs=1e-4)
