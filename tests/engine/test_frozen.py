"""Frozen weights rounded beforehand: what autocast multiplies, to the last bit."""

from __future__ import annotations

import contextlib
import dataclasses

import pytest
import torch
from torch import nn

from backbones.tiny import tiny
from contract.settings import method_of, setting_of, state_of
from headstart.backbones.ladder.cutting import Cut
from headstart.engine import adapt
from headstart.engine.cache.cache import Cache
from headstart.engine.cache.frozen import frozen_rounded
from headstart.engine.machine.precision import Compute
from headstart.methods.adapters.lora_update import LoraUpdate

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


@pytest.mark.parametrize("family", ["convnext", "swin", "timm_convnext", "bert"])
def test_a_cut_is_as_exact_with_rounded_weights(family: str) -> None:
    """A state is taken up in the format it had, whichever layer comes first."""
    backbone = tiny(family)
    with frozen_rounded(backbone.module, set(), BF16), BF16.autocast():
        for rung in range(1, len(backbone.ladder)):
            cut, batch = Cut(backbone, rung), backbone.probes()[0]
            with torch.no_grad():
                whole, state = cut.record(batch)
                resumed = cut.resume(batch, state)
            assert state.dtype != torch.float32 or torch.equal(whole, resumed), f"{family} from rung {rung}"
            assert torch.allclose(whole.float(), resumed.float(), rtol=2e-2, atol=2e-2)


def test_weights_that_a_part_beside_their_layer_reads_stay_as_they_are() -> None:
    layers = nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 4)])
    for layer, dora in zip(layers, (False, True)):
        layer.add_module("lora", LoraUpdate(layer, 2, 1.0, dora=dora))
    trained = {name for name, _ in layers.named_parameters() if "lora" in name}
    with frozen_rounded(layers, trained, BF16):
        assert [layer.weight.dtype for layer in layers] == [torch.bfloat16, torch.float32]


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


def test_a_training_in_bf16_keeps_what_is_frozen_rounded_and_learns_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rounded once, not anew in every step: measured, that takes a sixth of a step of LoRA on a CPU."""
    formats, learned = [], []
    for rounding in (True, False):
        if not rounding:
            monkeypatch.setattr(adapt, "frozen_rounded", lambda *_: contextlib.nullcontext())
        backbone = tiny("bert")
        base = next(m.weight for m in backbone.module.modules() if isinstance(m, nn.Linear))
        setting = dataclasses.replace(setting_of(backbone), compute=BF16, cache=Cache(backbone, BF16))
        block = backbone.module.get_submodule("encoder.layer.2")
        block.register_forward_pre_hook(lambda module, _, w=base: formats.append((module.training, w.dtype)))
        with adapt.adapted(setting, method_of("lora", targets=("linear",)), 0) as done:
            learned.append({n: p.detach().clone() for n, p in done.model.named_parameters() if "lora" in n})
        assert base.dtype == torch.float32
    trained = [dtype for training, dtype in formats if training]
    assert trained[0] == torch.bfloat16
    assert trained[-1] == torch.float32
    assert learned[0]
    assert all(torch.equal(value, learned[1][name]) for name, value in learned[0].items())
