"""Random initialisation, for the control `scratch`."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn


def refill(module: nn.Module, build: Callable[[], nn.Module], seed: int) -> None:
    """Copies into `module` the weights of a new model by `build` under `seed`, initialised by its library."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        fresh = build().state_dict()
    with torch.no_grad():
        for name, value in module.state_dict().items():
            value.copy_(fresh[name])
