"""Bottleneck adapters: placement on every kind of block, and the forward pass written out by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from backbones.tiny import batch_of, tiny
from contract.settings import method_of
from headstart.backbones.backbone import Backbone
from headstart.core.errors import MethodError
from headstart.methods.plan import Model


def applied(backbone: Backbone, name: str, **settings: object):
    plan = method_of(name, **settings).attach(backbone, nn.Linear(backbone.dimension, 2))
    return plan, plan.applied(Model(backbone.module, nn.Linear(backbone.dimension, 2)))


def moved(backbone: Backbone) -> None:
    """Away from step 0: every adapter does something."""
    torch.manual_seed(0)
    with torch.no_grad():
        for name, p in backbone.module.named_parameters():
            if ".adapter." in name:
                p.copy_(0.2 * torch.randn_like(p))


def bottleneck(x: torch.Tensor, adapter: nn.Module, scale: float = 1.0) -> torch.Tensor:
    """`s (gelu(x W_down' + b) W_up' + b)` from the bare weights."""
    d, u = adapter.down, adapter.up
    return scale * (F.gelu(x @ d.weight.T + d.bias) @ u.weight.T + u.bias)


@pytest.mark.parametrize("name", ["houlsby", "pfeiffer", "parallel"])
def test_a_bert_layer_by_hand(name: str) -> None:
    backbone = tiny("bert")
    layer, x = backbone.module.encoder.layer[1], torch.randn(2, 5, 32)
    _, context = applied(backbone, name)
    with context, torch.no_grad():
        moved(backbone)
        layer.eval()
        found = layer(x)
        found = found[0] if isinstance(found, tuple) else found
        own = layer.attention.self
        q, k, v = ((m(x).view(2, 5, 4, 8).transpose(1, 2)) for m in (own.query, own.key, own.value))
        context_ = ((q @ k.transpose(-1, -2) / 8**0.5).softmax(-1) @ v).transpose(1, 2).reshape(2, 5, 32)
        dense = layer.attention.output.dense
        attended = F.linear(context_, dense.weight, dense.bias)
        if name == "houlsby":
            attended = attended + bottleneck(attended, dense.adapter)
        middle = layer.attention.output.LayerNorm(attended + x)
        first, last = layer.intermediate.dense, layer.output.dense
        out = F.linear(F.gelu(F.linear(middle, first.weight, first.bias)), last.weight, last.bias)
        if name == "parallel":
            out = out + bottleneck(middle, last.adapter, 4.0)
        else:
            out = out + bottleneck(out, last.adapter)
        expected = layer.output.LayerNorm(out + middle)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


PLACES = {
    "bert": ("attention.output.dense", "output.dense"),
    "deberta_v2": ("attention.output.dense", "output.dense"),
    "modernbert": ("attn.Wo", "mlp.Wo"),
    "gpt2": ("attn.c_proj", "mlp.c_proj"),
    "llama": ("self_attn.o_proj", "mlp.down_proj"),
    "t5": ("SelfAttention.o", "DenseReluDense.wo"),
    "vit": ("attention.o_proj", "mlp.fc2"),
    "timm_vit": ("attn.proj", "mlp.fc2"),
    "torchvision_vit": ("self_attention", "mlp.3"),
    "timm_swin": ("attn.proj", "mlp.fc2"),
}


@pytest.mark.parametrize("family", PLACES)
def test_two_a_block_at_the_output_projections(family: str) -> None:
    backbone = tiny(family)
    batch = batch_of(backbone)
    backbone.module.eval()
    with torch.no_grad():
        plain = backbone.features(batch)
    plan, context = applied(backbone, "houlsby")
    blocks = len({site.rung for site in backbone.ladder.sites_of("attention")})
    assert len(plan.edits) == 2 * blocks
    for edit, end in zip(plan.edits, PLACES[family] * blocks):
        assert edit.path.endswith(end)
    with context, torch.no_grad():
        backbone.module.eval()
        torch.testing.assert_close(backbone.features(batch), plain)
        moved(backbone)
        assert not torch.allclose(backbone.features(batch), plain, atol=1e-3)
    with torch.no_grad():
        assert torch.equal(backbone.features(batch), plain)


def test_the_number_of_trained_parameters() -> None:
    """2 d m + m + d an adapter for width d = 32 and bottleneck m = 4; houlsby's norms have 2 d each."""
    backbone = tiny("bert")
    sizes = {}
    for name, settings in (("houlsby", {}), ("houlsby", {"norms": False}), ("pfeiffer", {}), ("parallel", {})):
        plan, context = applied(backbone, name, reduction=8, **settings)
        with context:
            parameters = {f"backbone.{n}": p for n, p in backbone.module.named_parameters()}
            count = sum(parameters[n].numel() for n in plan.trained() if n in parameters)
        sizes[name, *settings] = count
    one = 2 * 32 * 4 + 4 + 32
    assert sizes == {
        ("houlsby",): 3 * (2 * one + 2 * 64),
        ("houlsby", "norms"): 3 * 2 * one,
        ("pfeiffer",): 3 * one,
        ("parallel",): 3 * one,
    }


@pytest.mark.parametrize("family", ["timm_resnet", "timm_convnext", "timm_efficientnet", "timm_mobilenetv3",
                                    "torchvision_resnet", "resnet", "convnext", "plain"])  # fmt: skip
def test_convolutional_adapters_by_hand(family: str) -> None:
    """Each stands after a rung and adds a bottleneck of its channels at every place of the picture."""
    backbone = tiny(family)
    batch = batch_of(backbone)
    backbone.module.eval()
    with torch.no_grad():
        plain = backbone.features(batch)
    plan, context = applied(backbone, "conv_adapter")
    path = plan.edits[-1].path.removeprefix("backbone.")
    module, seen = backbone.module.get_submodule(path), {}
    with torch.no_grad():
        handle = module.register_forward_hook(lambda m, a, out: seen.update(plain=out))
        backbone.features(batch)
        handle.remove()
        with context:
            backbone.module.eval()
            torch.testing.assert_close(backbone.features(batch), plain)
            torch.manual_seed(0)
            adapter = module.adapter
            for p in adapter.parameters():
                p.copy_(0.3 * torch.randn_like(p))
            handle = module.register_forward_hook(lambda m, a, out: seen.update(found=out))
            assert not torch.allclose(backbone.features(batch), plain, atol=1e-4)
            handle.remove()
            x = seen["plain"].permute(0, 2, 3, 1)  # [B, H, W, C]
            low = F.gelu(x @ adapter.down.weight.flatten(1).T + adapter.down.bias)
            expected = x + low @ adapter.up.weight.flatten(1).T + adapter.up.bias
    torch.testing.assert_close(seen["found"].permute(0, 2, 3, 1), expected, rtol=1e-4, atol=1e-5)


def test_mistakes() -> None:
    with pytest.raises(MethodError, match="conv_adapter on convolutions"):
        applied(tiny("timm_resnet"), "pfeiffer")
    with pytest.raises(MethodError, match="pfeiffer or houlsby"):
        applied(tiny("vit"), "conv_adapter")
    with pytest.raises(MethodError, match="above 0"):
        applied(tiny("bert"), "pfeiffer", reduction=0)
