"""A LoRA update beside its layer: called as its slot calls it, and merged into a copy of the layer."""

from __future__ import annotations

import copy

import torch
from torch import nn

from headstart.methods.adapters.lora_update import LoraUpdate
from headstart.methods.slots import acting


def called(layer: LoraUpdate, x: torch.Tensor) -> torch.Tensor:
    found: torch.Tensor = acting((layer,), layer.base, (x,), {})
    return found


def merged(layer: LoraUpdate) -> nn.Module:
    twin = copy.deepcopy(layer.base)
    layer.folded(twin)
    return twin
