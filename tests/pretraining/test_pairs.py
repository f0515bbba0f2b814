"""CLIP's loss by hand, its gradients in chunks, recall by hand, and the towers of transformers."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from backbones.tiny import save, wordpiece
from cli.test_zeroshot import pairs
from headstart.backbones.loaders.load import load, two_towers
from headstart.backbones.loaders.two_towers import TwoTowers, joined
from headstart.data.audit.findings import Findings
from headstart.data.corpus.pairs import held_out, read_pairs
from headstart.engine import towers
from headstart.engine.feed.feed import Feed
from headstart.engine.job import share_of
from headstart.engine.machine.precision import compute
from headstart.engine.towers import recalls, told_apart
from headstart.judging.zeroshot import class_features, probabilities
from headstart.pretraining.jobs.pairs import PairTraining
from headstart.pretraining.objectives.clip import Clip


def test_the_loss_is_open_clips() -> None:
    """`(CE(s x y^T, i) + CE(s y x^T, i)) / 2`, written out."""
    x = F.normalize(torch.randn(4, 3, generator=torch.Generator().manual_seed(0)), dim=-1)
    y = F.normalize(torch.randn(4, 3, generator=torch.Generator().manual_seed(1)), dim=-1)
    scale = 7.0
    total = 0.0
    for a, b in ((x, y), (y, x)):
        for i in range(4):
            scores = [scale * float(a[i] @ b[j]) for j in range(4)]
            total += -scores[i] + float(np.log(np.sum(np.exp(scores))))
    found = Clip().loss(x, y, torch.tensor(scale).log())
    assert found.item() == pytest.approx(total / 8, rel=1e-5)
    assert Clip().loss(y, x, torch.tensor(scale).log()).item() == pytest.approx(found.item(), rel=1e-5)
    far = Clip().loss(x, y, torch.tensor(1e6).log())
    assert far.item() == pytest.approx(Clip().loss(x, y, torch.tensor(100.0).log()).item(), rel=1e-5)


def test_a_scale_that_has_grown_too_large_comes_down_again(tmp_path: Path) -> None:
    """With captions that say nothing of the pictures, certainty costs: the gradient has to reach the scale."""
    training = job(tmp_path, Clip(batch_size=16))
    scale = training.module.logit_scale
    with torch.no_grad():
        scale.fill_(6.0)
    training.enter(0.0)
    (micro,) = next(training.steps(0, 0))
    share_of(training.losses(micro, 0.0)).backward()
    assert float(scale.detach().exp()) == pytest.approx(100.0, rel=1e-5)
    assert float(scale.grad) > 0, "a step against it makes it smaller"


def job(place: Path, objective: Clip) -> PairTraining:
    """Towers without batch norms, whose statistics would be of a chunk."""
    torch.manual_seed(0)
    image, text = load(save("vit", place / "vit")), load(save("bert", place / "bert"))
    found = read_pairs([str(pairs(place / "p.parquet", 40))], None, Findings())
    train, held = held_out(found, 0)
    feeds = [(Feed("i", part.images, image), Feed("t", part.texts, text)) for part in (train, held)]
    torch.manual_seed(1)
    return PairTraining(
        joined(image, text, 8, 0.1, ""), feeds[0], feeds[1], objective, compute("cpu", "fp32"), 0, ""
    )  # fmt: skip


def test_what_chance_finds_among_the_first_ten() -> None:
    """Of 20 texts ten are drawn without one twice: one right text is among them in 1/2, two in 1 - (10 9) / (20 19)."""
    same, chance = told_apart([f"text {at}" for at in range(20)])
    assert same.unique().numel() == 20
    assert chance == pytest.approx(1 / 2)
    assert told_apart([f"text {at // 2}" for at in range(20)])[1] == pytest.approx(1 - 90 / 380)
    assert told_apart(["a", "b", "c", "d", "e"])[1] == 1, "fewer than ten are all among the first ten"


@pytest.mark.parametrize("lock", ["none", "image", "text"])
def test_gradients_in_chunks_are_those_of_the_whole(tmp_path: Path, lock: Any) -> None:
    found = []
    for chunk in (64, 5):
        one = job(tmp_path / f"{lock}{chunk}", Clip(batch_size=16, chunk=chunk, lock=lock))
        one.enter(0)
        for m in one.module.modules():
            if isinstance(m, nn.Dropout):
                m.p = 0.0
        (micro,) = next(one.steps(0, 0))
        value = share_of(one.losses(micro, 0))
        value.backward()
        found.append((value.detach(), {name: p.grad for name, p in one.module.named_parameters()}))
    assert torch.allclose(found[0][0], found[1][0], atol=1e-5)
    for name, whole in found[0][1].items():
        parts = found[1][1][name]
        assert (whole is None) == (parts is None), name
        assert (whole is None) == name.startswith(f"{lock}.") or whole is None or not name.startswith(f"{lock}.")
        if whole is not None:
            assert torch.allclose(whole, parts, rtol=1e-3, atol=1e-5), name
    assert found[0][1]["logit_scale"].abs() > 0


def test_memory_that_runs_out_makes_chunks(tmp_path: Path) -> None:
    one = job(tmp_path, Clip(batch_size=16, chunk=64))
    one.enter(0)
    (micro,) = next(one.steps(0, 0))
    (cut,) = micro.split(4)
    seen = []
    batches = one._batches
    one._batches = lambda positions, view: (seen.append(len(positions)), batches(positions, view))[1]  # type: ignore[method-assign]
    share_of(one.losses(cut, 0))
    assert max(seen) == 4


def test_texts_of_two_columns_are_joined(tmp_path: Path) -> None:
    file = str(pairs(tmp_path / "p.parquet", 6))
    found = read_pairs([file], "caption,colour", Findings())
    alone = read_pairs([file], "caption", Findings())
    told = [f"{caption}, {colour}" for caption, colour in zip(alone.texts.inputs(), ["red", "green", "blue"] * 2)]
    assert found.texts.inputs() == told


def test_recall_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    images = F.normalize(torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0]]), dim=-1)
    texts = F.normalize(torch.tensor([[0.8, 0.2], [1.0, 0.0], [0.1, 1.0]]), dim=-1)
    found = recalls(images, texts)
    # picture 0 is nearest to text 1, picture 1 to text 1 (cos .994 against .991), picture 2 to text 2
    assert found["texts"]["1"] == pytest.approx(2 / 3)
    assert found["texts"]["5"] == 1
    # text 0 is nearest to picture 1, text 1 to picture 0, text 2 to picture 2
    assert found["images"]["1"] == pytest.approx(1 / 3)
    same = recalls(images, texts, torch.tensor([0, 0, 1]))
    assert same["texts"]["1"] == same["images"]["1"] == 1
    monkeypatch.setattr(towers, "ROWS", 2)
    assert recalls(images, texts) == found
    assert recalls(images, texts, torch.tensor([0, 0, 1])) == same


def test_a_picture_with_all_its_captions_is_on_one_side(tmp_path: Path) -> None:
    file = pairs(tmp_path / "p.parquet", 40)
    table = pq.read_table(file)
    pq.write_table(pa.concat_tables([table] * 3), file)
    found = read_pairs([str(file)], None, Findings())
    train, held = held_out(found, 0)
    assert len(train) + len(held) == 120
    assert 6 <= len(held) <= 9
    assert not {*train.images.inputs()} & {*held.images.inputs()}
    assert [*held_out(found, 1)[1].images.inputs()] != [*held.images.inputs()]


def test_class_features_are_means_over_templates() -> None:
    table = {"a cat": [1.0, 0.0], "the cat": [0.0, 1.0], "a dog": [0.0, 1.0], "the dog": [0.0, 1.0]}

    class Texts:
        def encode(self, texts: list[str]) -> list[str]:
            return texts

        def collate(self, texts: list[str]) -> dict[str, torch.Tensor]:
            return {"x": torch.tensor([table[text] for text in texts])}

    module = nn.Module()
    module.logit_scale = nn.Parameter(torch.tensor(10.0).log())
    towers = TwoTowers(module, lambda b: b["x"], lambda b: b["x"], None, Texts(), "")  # type: ignore[arg-type]
    found = class_features(towers, ["cat", "dog"], ["a {}", "the {}"], compute("cpu", "fp32"))
    half = 0.5**0.5
    assert torch.allclose(found, torch.tensor([[half, half], [0.0, 1.0]]))
    scores = probabilities(towers, torch.tensor([[1.0, 0.0]]), found)
    assert scores[0, 0] == pytest.approx(1 / (1 + np.exp(-10 * half)))


def transformers_pair(folder: Path, kind: str) -> tuple[Any, Any]:
    """A small CLIP or SigLIP of transformers, written to the folder, and its tokenizer."""
    from transformers import CLIPConfig, CLIPModel, SiglipConfig, SiglipModel

    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    tokenizer = wordpiece()
    text = {**sizes, "vocab_size": len(tokenizer), "max_position_embeddings": 16, "eos_token_id": 3, "bos_token_id": 2,
            "pad_token_id": 0}  # fmt: skip
    vision = {**sizes, "image_size": 24, "patch_size": 8}
    torch.manual_seed(0)
    if kind == "clip":
        model: Any = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=16))
    else:
        model = SiglipModel(SiglipConfig(text_config=text, vision_config=vision))
    model.eval().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return model, tokenizer


@pytest.mark.parametrize("kind", ["clip", "siglip"])
def test_the_towers_of_transformers_score_as_it_does(tmp_path: Path, kind: str) -> None:
    model, tokenizer = transformers_pair(tmp_path, kind)
    towers = two_towers(tmp_path)
    said = ["a good film", "the dog and the cat and a bird"]
    pixels = torch.randn(3, 3, 24, 24)
    padding = {"padding": "max_length", "max_length": 16} if kind == "siglip" else {"padding": True}
    inputs = tokenizer(said, return_tensors="pt", **padding)
    if kind == "siglip":
        inputs.pop("attention_mask")
    inputs.pop("token_type_ids", None)
    with torch.no_grad():
        theirs = model(pixel_values=pixels, **inputs).logits_per_image
        mine = (
            towers.encode_images({"pixel_values": pixels})
            @ towers.encode_texts(towers.text_preparation.collate(towers.text_preparation.encode(said))).T
        )
    bias = float(model.logit_bias.detach()) if kind == "siglip" else 0.0
    assert torch.allclose(towers.scale * mine + bias, theirs, atol=1e-4)


@pytest.mark.parametrize("kind", ["clip", "siglip"])
def test_classes_told_in_words_are_a_head_on_the_backbone(tmp_path: Path, kind: str) -> None:
    """`w z` is the scaled cosine of transformers' own features, but for the length of those of the picture."""
    from headstart.backbones.loaders.load import load

    model, _ = transformers_pair(tmp_path, kind)
    backbone = load(tmp_path)
    assert backbone.words is not None
    labels, templates = ("good", "bad film", "dog"), ("{}", "a {}")
    pixels = torch.randn(6, 3, 24, 24)
    with torch.no_grad():
        features = backbone.features({"pixel_values": pixels})
        weight = backbone.words(labels, templates).weight(features)
        own = model.get_image_features(pixel_values=pixels).pooler_output
    classes = two_towers(tmp_path).encode_classes(labels, templates)
    cosines = torch.nn.functional.normalize(own, dim=1) @ classes.T
    expected = (
        float(model.logit_scale.detach().exp()) * cosines * own.norm(dim=1, keepdim=True) / own.norm(dim=1).mean()
    )
    assert torch.allclose(features @ weight.T, expected, atol=1e-4)
    assert load(tmp_path, pooling="mean").words is None  # other features than those that the projection is for


def test_a_tower_alone_is_told(tmp_path: Path) -> None:
    from headstart.core.errors import ModelError

    with pytest.raises(ModelError, match="no tower for pictures"):
        two_towers(save("bert", tmp_path / "bert"))
    assert dataclasses.is_dataclass(TwoTowers)
