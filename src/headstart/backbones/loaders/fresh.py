"""Fresh random weights: what the control `scratch` begins with."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn


def refill(module: nn.Module, build: Callable[[], nn.Module], seed: int) -> None:
    """Puts into `module` the weights of a model that `build` makes anew under `seed`, as its library initialises it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        fresh = build().state_dict()
    with torch.no_grad():
        for name, value in module.state_dict().items():
            value.copy_(fresh[name])
