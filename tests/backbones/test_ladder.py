"""Ladders are found by structure, with every parameter on exactly one rung."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from headstart.backbones.ladder.structure import find_ladder
from headstart.core.errors import ModelError

from . import tiny

RUNGS = {
    "bert": 4, "electra": 4, "distilbert": 4, "roberta": 4, "xlm_roberta": 4, "deberta_v2": 4, "modernbert": 5,
    "albert": 2, "t5": 5, "gpt2": 5, "llama": 5, "qwen3": 5, "gemma2": 5, "vit": 5, "dinov2": 5, "clip_vision": 5,
    "swin": 5, "resnet": 5, "convnext": 6, "timm_resnet": 5, "timm_vit": 5, "timm_convnext": 7, "timm_swin": 5,
    "timm_grey": 5, "torchvision_resnet": 5, "torchvision_vit": 5, "torchvision_efficientnet": 5, "plain": 3, "mlp": 2,
    "lstm": 3,
}  # fmt: skip


@pytest.mark.parametrize("name", RUNGS)
def test_ladder(name: str) -> None:
    backbone = tiny.tiny(name)
    ladder = backbone.ladder
    assert len(ladder) == RUNGS[name]
    placed = [p for rung in ladder.rungs for p in rung.parameters]
    assert sorted(placed) == sorted(n for n, _ in backbone.module.named_parameters())
    paths = [m for rung in ladder.rungs for m in rung.modules]
    assert not any(a != b and b.startswith(f"{a}.") for a in paths for b in paths)
    for site in ladder.sites:
        assert backbone.module.get_submodule(site.path) is not None
        assert 0 <= site.rung < len(ladder)
        for parameter, _ in backbone.module.get_submodule(site.path).named_parameters():
            assert ladder.rung_of(f"{site.path}.{parameter}") == site.rung


def test_names_and_parts() -> None:
    ladder = tiny.tiny("bert").ladder
    assert [r.name for r in ladder.rungs] == ["embeddings", "encoder.layer.0", "encoder.layer.1", "encoder.layer.2"]
    parts = {s.path.removeprefix("encoder.layer.0."): s.part for s in ladder.sites_of("linear") if s.rung == 1}
    assert parts == {
        "attention.self.query": "attention",
        "attention.self.key": "attention",
        "attention.self.value": "attention",
        "attention.output.dense": "attention",
        "intermediate.dense": "feedforward",
        "output.dense": "feedforward",
    }
    assert [s.path for s in ladder.sites_of("attention")] == [f"encoder.layer.{i}.attention.self" for i in range(3)]


def test_conv1d_sizes() -> None:
    site = next(s for s in tiny.tiny("gpt2").ladder.sites if s.path == "h.0.attn.c_attn")
    assert (site.kind, site.inputs, site.outputs, site.part) == ("linear", 32, 96, "attention")


def test_multihead_attentions_inner_layer_is_no_site() -> None:
    ladder = tiny.tiny("torchvision_vit").ladder
    assert not any(s.path.endswith("out_proj") for s in ladder.sites)
    assert len(ladder.sites_of("attention")) == 3


def test_class_token_and_positions_are_lowest() -> None:
    for name in ("timm_vit", "torchvision_vit"):
        ladder = tiny.tiny(name).ladder
        loose = [p for r in ladder.rungs for p in r.parameters if "token" in p or "pos_embed" in p]
        assert loose
        assert {ladder.rung_of(p) for p in loose} == {0}


def test_relative_embeddings_that_all_blocks_read_are_lowest() -> None:
    ladder = tiny.tiny("deberta_v2").ladder
    assert ladder.rung_of("encoder.rel_embeddings.weight") == 0
    assert ladder.rung_of("encoder.LayerNorm.weight") == 0
    assert "encoder.LayerNorm" not in ladder.rungs[0].modules


def test_tied_parameter_on_lowest_rung() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second, self.third = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4)
            self.third.weight = self.first.weight

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.third(self.second(self.first(x)))

    ladder = find_ladder(Tied())
    assert [r.parameters for r in ladder.rungs] == [
        ("first.weight", "first.bias"),
        ("second.weight", "second.bias"),
        ("third.bias",),
    ]


def test_rungs_stand_in_the_order_of_execution() -> None:
    class Backwards(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.unused, self.last, self.first = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.last(self.first(x))

    module = Backwards()
    ladder = find_ladder(module, lambda: module(torch.ones(2, 4)))
    assert [r.name for r in ladder.rungs] == ["first", "last", "unused"]


def test_two_chains_are_ambiguous(tmp_path) -> None:
    from transformers import AutoModel

    module = AutoModel.from_config(tiny._image_config("clip"))
    with pytest.raises(ModelError, match=r"(?s)text_model.encoder.layers: 3 blocks.*vision_model.encoder.layers: 3"):
        find_ladder(module)
    ladder = find_ladder(module, blocks="vision_model.encoder.layers")
    assert sum(r.name.startswith("vision_model.encoder.layers.") for r in ladder.rungs) == 3
    with pytest.raises(ModelError, match=r"'nothing' matches no chain.*\n  text_model"):
        find_ladder(module, blocks="nothing")
    with pytest.raises(ModelError, match="no parameters"):
        find_ladder(nn.ReLU())
