"""Use of weights by layers: like PyTorch's layers, or after padding, standardisation or parametrisation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.func import functional_call

KINDS: tuple[type[nn.Module], ...] = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


def is_plain(layer: Any) -> bool:
    """True if the layer computes the same as PyTorch's linear layer or convolution with its attributes.

    False for subclasses that pad by themselves (TensorFlow's "same"), or standardise their weight.
    """
    kind: Any = next((kind for kind in KINDS if isinstance(layer, kind)), None)
    if kind is None:
        return hasattr(layer, "nf")  # transformers' transposed Conv1D
    own: Any = type(layer)
    return own.forward is kind.forward and getattr(own, "_conv_forward", 0) is getattr(kind, "_conv_forward", 0)


def owns_weight(layer: nn.Module) -> bool:
    """True if the weight is a parameter; False if it is computed at each call (weight norm, parametrisations)."""
    return layer._parameters.get("weight") is not None


def with_weight(
    layer: nn.Module, weight: torch.Tensor, x: torch.Tensor, forward: Callable[..., torch.Tensor] | None = None
) -> torch.Tensor:
    """The layer's forward with another weight. forward: the layer's own, if something acts around it."""
    out: torch.Tensor = functional_call(_Through(layer, forward or layer), {"layer.weight": weight}, (x,))
    return out


class _Through(nn.Module):
    """Calls a function of its layer."""

    def __init__(self, layer: nn.Module, call: Callable[..., torch.Tensor]) -> None:
        super().__init__()
        self.layer = layer
        self.call = [call]  # in a list, because a module would become a second child

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.call[0](x)


@torch.no_grad()
def scales_with_weight(layer: Any) -> bool:
    """True if the output without bias is proportional to the weight; False if the weight is standardised first."""
    if is_plain(layer):
        return True
    if not owns_weight(layer):
        return False
    weight = layer.weight
    size: tuple[int, ...] = (1, getattr(layer, "in_channels", weight.shape[1]))
    if weight.dim() > 2:
        size += tuple(d * (k - 1) + 1 for k, d in zip(weight.shape[2:], layer.dilation))
    x = torch.randn(size, generator=torch.Generator().manual_seed(0)).to(weight)
    nothing, once, twice = (with_weight(layer, factor * weight, x) for factor in (0.0, 1.0, 2.0))
    return bool(torch.allclose(twice - nothing, 2 * (once - nothing), rtol=1e-2, atol=1e-6))
