"""Exports load with their library alone and give the logits of the model in memory."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from headstart.backbones.export.checkpoint import export
from headstart.backbones.export.verification import logits_in_memory
from headstart.backbones.loaders.load import load
from headstart.core.errors import ArtifactError, ModelError

from . import tiny

LABELS = ["no", "yes", "perhaps"]
TEXT = [
    *[
        (n, p)
        for n in ("bert", "electra", "distilbert", "roberta", "deberta_v2", "modernbert")
        for p in ("mean", "cls")
    ],
    *[(n, "last") for n in tiny.DECODERS],
    ("albert", "cls"),
]


def head_of(backbone, outputs: int = 3) -> torch.nn.Linear:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        head = torch.nn.Linear(backbone.dimension, outputs, bias=backbone.head_bias)
        torch.nn.init.normal_(head.weight, std=1.0)
    return head


@pytest.mark.parametrize(("name", "pooling"), TEXT)
def test_text(name: str, pooling: str, tmp_path: Path) -> None:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    backbone = tiny.tiny(name, pooling=pooling)
    head = head_of(backbone)
    export(backbone, head, LABELS, "single_label", tmp_path)
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    texts = [*tiny.TEXTS, "never"]
    batch = dict(tokenizer(texts, padding=True, return_tensors="pt"))
    if name in (*tiny.DECODERS, "roberta", "distilbert", "modernbert", "deberta_v2"):
        batch.pop("token_type_ids", None)
    assert batch["attention_mask"].min() == 0
    preparation = backbone.preparation
    wanted = logits_in_memory(backbone, head, preparation.collate(preparation.encode(texts)))
    with torch.no_grad():
        torch.testing.assert_close(model(**batch).logits, wanted, rtol=1e-4, atol=1e-4)
    assert [model.config.id2label[i] for i in range(3)] == LABELS
    assert model.config.problem_type == "single_label_classification"


@pytest.mark.parametrize("name", ["vit", "dinov2", "swin", "resnet", "convnext"])
def test_images_of_transformers(name: str, tmp_path: Path) -> None:
    from transformers import AutoImageProcessor, AutoModelForImageClassification

    from .test_preparation import picture

    backbone = tiny.tiny(name)
    head = head_of(backbone)
    export(backbone, head, LABELS, "multi_label", tmp_path)
    model = AutoModelForImageClassification.from_pretrained(tmp_path).eval()
    processor = AutoImageProcessor.from_pretrained(tmp_path)
    pixels = processor(picture(), return_tensors="pt")["pixel_values"]
    ours = backbone.preparation.prepare(picture())[None]
    torch.testing.assert_close(pixels, ours, rtol=0, atol=0.05)
    with torch.no_grad():
        found = model(pixel_values=ours).logits
    torch.testing.assert_close(found, logits_in_memory(backbone, head, {"pixel_values": ours}), rtol=1e-4, atol=1e-4)
    assert model.config.problem_type == "multi_label_classification"


@pytest.mark.parametrize("name", tiny.TIMM)
def test_timm(name: str, tmp_path: Path) -> None:
    import timm

    backbone = tiny.tiny(name)
    head = head_of(backbone)
    export(backbone, head, LABELS, "single_label", tmp_path)
    model = timm.create_model(f"local-dir:{tmp_path}", pretrained=True).eval()
    batch = tiny.batch_of(backbone)
    with torch.no_grad():
        found = model(batch["pixel_values"])
    torch.testing.assert_close(found, logits_in_memory(backbone, head, batch), rtol=1e-4, atol=1e-4)
    assert list(model.pretrained_cfg["label_names"]) == LABELS
    again = load(tmp_path)  # an export is a backbone again
    torch.testing.assert_close(again.features(batch), backbone.features(batch))


def test_torchvision(tmp_path: Path) -> None:
    backbone = load("torchvision/mobilenet_v3_small", weights=False, image_size=32)
    export(backbone, head_of(backbone), LABELS, "single_label", tmp_path)
    again = load(tmp_path)
    assert again.loader == "torchvision"
    batch = tiny.batch_of(backbone)
    torch.testing.assert_close(again.features(batch), backbone.features(batch))
    assert json.loads((tmp_path / "config.json").read_text())["labels"] == LABELS


@pytest.mark.parametrize(
    ("name", "says"), [("t5", "no classification class"), ("plain", "artifact"), ("albert", "pooling cls")]
)
def test_impossible_ones_leave_nothing(name: str, says: str, tmp_path: Path) -> None:
    backbone = tiny.tiny(name)
    with pytest.raises(ModelError, match=says):
        export(backbone, head_of(backbone), LABELS, "single_label", tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_checkpoint_that_differs_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import timm

    backbone = tiny.tiny("timm_resnet")
    create = timm.create_model

    def forgetful(name: str, **arguments):
        return (
            create(name, **arguments)
            if not name.startswith("local-dir")
            else create("resnet10t", num_classes=3, channels=[8, 16, 16, 32], stem_width=8)
        )

    monkeypatch.setattr(timm, "create_model", forgetful)
    with pytest.raises(ArtifactError, match="differ"):
        export(backbone, head_of(backbone), LABELS, "single_label", tmp_path)
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").touch()
    with pytest.raises(ArtifactError, match="empty"):
        export(backbone, head_of(backbone), LABELS, "single_label", tmp_path)


@pytest.mark.parametrize("name", [*tiny.DECODERS, "bert", "roberta"])
@pytest.mark.parametrize("pad", ["none", "end", "own"])
def test_texts_that_end_in_special_tokens(name: str, pad: str, tmp_path: Path) -> None:
    """transformers' classifier reads the last token that is no pad token: a text may not hold the export's."""
    from transformers import AutoModelForSequenceClassification, pipeline

    folder = tiny.save(name, tmp_path / "base")
    told = json.loads((folder / "tokenizer_config.json").read_text())
    if name in tiny.DECODERS:
        told["pad_token"] = {"none": None, "end": "<|endoftext|>", "own": "!"}[pad]
        told["padding_side"] = "left"
        (folder / "tokenizer_config.json").write_text(json.dumps(told))
    backbone = load(folder, max_length=30)
    if name == "llama":  # as many rows as tokens: the new token needs one more
        backbone.module.resize_token_embeddings(len(backbone.preparation.tokenizer))
    head = head_of(backbone)
    (tmp_path / "out").mkdir()
    export(backbone, head, LABELS, "single_label", tmp_path / "out")
    preparation = backbone.preparation
    end = preparation.tokenizer.eos_token or preparation.tokenizer.sep_token
    texts = [
        "so good!",
        "so good!!!",
        f"so good{end}",
        f"so good{end}{end}",
        "good " * 40 + end,
        "a",
        f"{end}",
        "!",
        "so",
    ]
    classify = pipeline("text-classification", str(tmp_path / "out"), top_k=None, device="cpu")
    found = classify(texts, batch_size=len(texts), truncation=True)
    wanted = logits_in_memory(backbone, head, preparation.collate(preparation.encode(texts))).softmax(-1)
    for row, chances in zip(found, wanted):
        told = {one["label"]: one["score"] for one in row}
        assert [told[label] for label in LABELS] == pytest.approx(chances.tolist(), abs=1e-4)
    again = AutoModelForSequenceClassification.from_pretrained(tmp_path / "out")
    if name in tiny.DECODERS:  # a token of its own, which an id in no text stands for
        assert again.config.pad_token_id not in {i for one in preparation.encode(texts) for i in one["input_ids"]}
        assert load(tmp_path / "out").features(preparation.collate(preparation.encode(texts))).isfinite().all()
    else:
        assert again.config.vocab_size == backbone.module.config.vocab_size
