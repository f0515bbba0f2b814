"""Random initialisation of a transformers model, as its architecture prescribes."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import nn

from headstart.backbones.loaders.fresh import refill


def reinitialise(module: nn.Module, seed: int) -> None:
    """Sets random weights in place, from a new model with the same configuration."""
    refill(module, lambda: _like(module), seed)


def _like(module: nn.Module) -> nn.Module:
    cls: Any = type(module)
    config: Any = module.config
    extra = {}
    if "add_pooling_layer" in inspect.signature(cls.__init__).parameters:
        extra["add_pooling_layer"] = getattr(module, "pooler", None) is not None
    return cls._from_config(config, dtype=torch.float32, **extra)
