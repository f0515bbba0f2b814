"""The weights that a training changes in a module: how they are read, copied and put back."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from headstart.engine.state.checkpoint import State


def weights(module: nn.Module, names: list[str]) -> State:
    """Copies of the trained parameters and all buffers."""
    return {name: value.clone() for name, value in changing(module, names).items()}


def changing(module: nn.Module, names: list[str]) -> State:
    """The module's trained parameters and all buffers, without copying."""
    wanted = set(names)
    found: State = {n: p.detach() for n, p in module.named_parameters() if n in wanted}
    found.update({f"buffer:{n}": b.detach() for n, b in module.named_buffers()})
    return found


def put_weights(module: nn.Module, state: State) -> None:
    targets: dict[str, Tensor] = dict(module.named_parameters())
    targets.update({f"buffer:{n}": b for n, b in module.named_buffers()})
    with torch.no_grad():
        for name, value in state.items():
            targets[name].copy_(value)
