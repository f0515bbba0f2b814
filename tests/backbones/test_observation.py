"""Watching a run: what influences the features is read off the graph."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from headstart.backbones.ladder.observation import observe


class Idle(nn.Module):
    """Its second layer runs, and nobody reads what it gives."""

    def __init__(self) -> None:
        super().__init__()
        self.read, self.idle = nn.Linear(3, 4), nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found = self.read(x)
        self.idle(found)
        return found


def test_what_influences_the_features_is_seen_without_a_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("grad", "backward"):
        monkeypatch.setattr(torch.autograd, name, None)
    module = Idle()
    module.read.weight.requires_grad_(False)
    seen = observe(module, ["read", "idle"], lambda: module(torch.ones(2, 3)))
    assert seen.influences(module.read)
    assert not seen.influences(module.idle)
    assert seen.first == {"read": 0, "idle": 1}
    assert not module.read.weight.requires_grad
