"""Frozen weights rounded beforehand: what autocast multiplies, to the last bit."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from backbones.tiny import tiny
from contract.settings import state_of
from headstart.engine.frozen import frozen_rounded
from headstart.engine.precision import Compute

BF16 = Compute(torch.device("cpu"), bf16=True)


@pytest.mark.parametrize("family", ["bert", "gpt2", "vit", "timm_resnet"])
def test_no_bit_of_features_and_gradients_changes_and_the_base_comes_back(family: str) -> None:
    backbone = tiny(family)
    module, before = backbone.module, state_of(backbone.module)
    shape = {"pixel_values": torch.randn(3, 3, *backbone.preparation.size)} if backbone.modality == "image" else {
        "input_ids": torch.arange(12).reshape(3, 4) + 3, "attention_mask": torch.ones(3, 4, dtype=torch.long),
    }  # fmt: skip
    trained = {n for n, p in module.named_parameters() if p.dim() == 1}

    def found() -> list[torch.Tensor]:
        module.zero_grad()
        with BF16.autocast():
            features = backbone.features(shape)
        features.float().square().sum().backward()
        return [features.detach(), *(p.grad.clone() for n, p in module.named_parameters() if n in trained)]

    plain = found()
    with frozen_rounded(module, trained, BF16):
        rounded = [n for n, p in module.named_parameters() if p.dtype == torch.bfloat16]
        assert rounded
        assert not trained & set(rounded)
        assert all(torch.equal(a, b) for a, b in zip(plain, found()))
    after = state_of(module)
    assert all(torch.equal(before[n], after[n]) and before[n].dtype == after[n].dtype for n in before)


def test_what_another_kind_of_layer_reads_stays_as_it_is() -> None:
    model = nn.ModuleDict({"words": nn.Embedding(5, 4), "out": nn.Linear(4, 5, bias=False), "free": nn.Linear(4, 4)})
    model["out"].weight = model["words"].weight
    with frozen_rounded(model, set(), BF16):
        assert model["words"].weight.dtype == torch.float32
        assert model["free"].weight.dtype == model["free"].bias.dtype == torch.bfloat16


def test_the_base_comes_back_after_an_error_and_fp32_is_left_alone() -> None:
    layer = nn.Linear(3, 3)
    before = layer.weight.detach().clone()
    with pytest.raises(RuntimeError, match="stop"), frozen_rounded(layer, set(), BF16):
        raise RuntimeError("stop")
    assert torch.equal(layer.weight, before)
    with frozen_rounded(layer, set(), Compute(torch.device("cpu"), bf16=False)):
        assert layer.weight.dtype == torch.float32
