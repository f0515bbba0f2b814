"""LoRA on layers with a forward of their own: TensorFlow's padding, standardised weights, parametrised weights."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from timm.layers import Conv2dSame, ScaledStdConv2d, StdConv2d, StdConv2dSame
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm

from headstart.backbones.ladder.weights import is_plain, scales_with_weight
from headstart.backbones.loaders.module import load_module
from headstart.core.errors import MethodError, ModelError
from headstart.methods.adapters.lora import Lora
from headstart.methods.adapters.lora_update import LoraUpdate
from methods.updates import called, merged


class Halved(nn.Linear):
    """A linear layer that uses half of its weight, as no attribute of it says."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.linear(x, self.weight / 2, self.bias)


CONVOLUTIONS: list[Any] = [Conv2dSame, StdConv2d, StdConv2dSame, ScaledStdConv2d]


def layer_on(base: nn.Module, **settings: Any) -> LoraUpdate:
    torch.manual_seed(0)
    layer = LoraUpdate(base, rank=2, scale=1.5, **settings)
    nn.init.normal_(layer.lora_b.weight, std=0.3)
    return layer.eval()


@pytest.mark.parametrize("kind", CONVOLUTIONS)
@pytest.mark.parametrize(("side", "stride"), [(7, 2), (8, 2), (9, 1)])
def test_a_convolution_takes_the_update_into_its_weight(kind: Any, side: int, stride: int) -> None:
    torch.manual_seed(1)
    base, x = kind(3, 5, 3, stride=stride), torch.randn(2, 3, side, side)
    layer = layer_on(base)
    by_hand = copy.deepcopy(base)
    with torch.no_grad():
        a, b = layer.lora_a.weight, layer.lora_b.weight
        by_hand.weight += 1.5 * torch.einsum("or,rikl->oikl", b[:, :, 0, 0], a)
    torch.testing.assert_close(called(layer, x), by_hand(x))
    torch.testing.assert_close(merged(layer)(x), by_hand(x))
    assert type(merged(layer)) is kind
    assert not torch.allclose(called(layer, x), base(x), atol=1e-3)


def test_padding_as_tensorflows_is_that_of_the_base() -> None:
    """An even side at stride 2 is padded on the right and below alone."""
    base, x = Conv2dSame(1, 1, 3, stride=2, bias=False), torch.randn(1, 1, 4, 4)
    layer = layer_on(base)
    update = F.conv2d(F.conv2d(F.pad(x, (0, 1, 0, 1)), layer.lora_a.weight, stride=2), layer.lora_b.weight)
    torch.testing.assert_close(called(layer, x), base(x) + 1.5 * update)


def test_a_linear_layer_of_ones_own_is_merged_as_it_computes() -> None:
    torch.manual_seed(1)
    base, x = Halved(4, 3), torch.randn(5, 4)
    layer = layer_on(base)
    torch.testing.assert_close(merged(layer)(x), called(layer, x))
    torch.testing.assert_close(called(layer, x), base(x) + F.linear(x, layer.delta()) / 2)


def test_dropout_drops_the_inputs_of_the_update_alone() -> None:
    base, x = Conv2dSame(2, 3, 3, bias=True), torch.randn(4, 2, 6, 6)
    layer = layer_on(base, dropout=0.5).train()
    torch.manual_seed(3)
    found = called(layer, x)
    torch.manual_seed(3)
    kept = F.dropout(x, 0.5, True)
    update = Conv2dSame(2, 3, 3, bias=False)
    update.weight.data = layer.delta()
    torch.testing.assert_close(found, base(x) + update(kept), rtol=1e-4, atol=1e-5)


def test_what_scales_with_its_weight_is_seen_from_what_it_computes() -> None:
    assert [scales_with_weight(kind(3, 4, 3)) for kind in CONVOLUTIONS] == [True, False, False, False]
    assert scales_with_weight(Halved(3, 2))
    assert [is_plain(m) for m in (nn.Linear(2, 2), nn.Conv1d(1, 1, 1), Halved(2, 2))] == [True, True, False]


def test_dora_on_standardised_weights_would_change_nothing_and_is_refused() -> None:
    net = nn.Sequential(
        ScaledStdConv2d(3, 4, 3), nn.ReLU(), ScaledStdConv2d(4, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    )
    backbone = load_module(net, image_size=8)
    with pytest.raises(MethodError, match="dora .* change nothing"):
        Lora(dora=True).attach(backbone, nn.Linear(4, 2))
    Lora().attach(backbone, nn.Linear(4, 2))


def test_an_update_is_not_lost_in_a_weight_that_is_computed_anew() -> None:
    layer = layer_on(weight_norm(nn.Linear(4, 3)))
    x = torch.randn(2, 4)
    assert not torch.allclose(called(layer, x), layer.base(x), atol=1e-3)
    with pytest.raises(ModelError, match="can't be merged"):
        merged(layer)
