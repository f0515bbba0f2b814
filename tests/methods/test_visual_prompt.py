"""Visual prompts against a forward pass written out by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from backbones.tiny import batch_of, tiny
from contract.settings import method_of
from headstart.backbones.backbone import Backbone
from headstart.core.errors import MethodError
from headstart.methods.plan import Model


def model_of(backbone: Backbone) -> Model:
    return Model(backbone.module, nn.Linear(backbone.dimension, 2))


@pytest.mark.parametrize("deep", [False, True])
def test_timm_s_vit_by_hand(deep: bool) -> None:
    backbone = tiny("timm_vit")
    net, batch = backbone.module, batch_of(backbone)
    method = method_of("vpt", tokens=3, deep=deep)
    plan, model = method.attach(backbone, nn.Linear(32, 2)), model_of(backbone)
    assert len([n for n in plan.trained() if n.endswith("patches")]) == (3 if deep else 1)
    with plan.applied(model), torch.no_grad():
        model.eval()
        found = backbone.features(batch)
        prompts = [block.prompt.patches.detach().clone() for block in net.blocks if hasattr(block.prompt, "patches")]
    with torch.no_grad():
        x = net.norm_pre(net._pos_embed(net.patch_embed(batch["pixel_values"])))  # [B, 1 + N, D]
        real = x.shape[1]
        for i, block in enumerate(net.blocks):
            if i == 0 or deep:
                x = torch.cat([x[:, :real], prompts[i].expand(len(x), -1, -1)], dim=1)
            x = block(x)
        expected = net.forward_head(net.norm(x[:, :real])).flatten(1)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("family", ["vit", "dinov2", "clip_vision", "timm_vit", "torchvision_vit"])
def test_it_acts_on_every_vision_transformer(family: str) -> None:
    backbone = tiny(family)
    batch = batch_of(backbone)
    plan, model = method_of("vpt").attach(backbone, nn.Linear(32, 2)), model_of(backbone)
    with torch.no_grad():
        model.eval()
        plain = backbone.features(batch)
        with plan.applied(model):
            model.eval()
            assert backbone.features(batch).shape == plain.shape
            assert not torch.allclose(backbone.features(batch), plain, atol=1e-3)
        torch.testing.assert_close(backbone.features(batch), plain, rtol=0, atol=0)


@pytest.mark.parametrize("family", ["timm_swin", "swin", "timm_resnet", "bert"])
def test_what_it_needs_is_said(family: str) -> None:
    backbone = tiny(family)
    with pytest.raises(MethodError, match="no vision transformer"):
        method_of("vpt").attach(backbone, nn.Linear(backbone.dimension, 2))
