"""Fast dropout draws from the same distribution as PyTorch's, and follows the seed."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from headstart.engine.machine.dropout import FastDropout


@pytest.mark.parametrize("p", [0.1, 0.5])
def test_drops_the_share_keeps_the_mean_and_scales_what_is_kept(p: float) -> None:
    torch.manual_seed(0)
    x = torch.ones(1000, 999)
    with FastDropout():
        y = F.dropout(x, p)
    dropped = round(256 * p) / 256
    assert abs(float((y == 0).float().mean()) - dropped) < 0.002
    assert abs(float(y.mean()) - 1) < 0.003
    assert torch.allclose(y[y != 0], torch.tensor(1 / (1 - dropped)))
    columns = (y == 0).float().mean(0)  # no column is favoured: the mask is not periodic in the bytes of a word
    assert float(columns.max()) < dropped + 6 * (dropped * (1 - dropped) / 1000) ** 0.5


def test_gradient_flows_through_what_was_kept_alone() -> None:
    x = torch.ones(64, 64, requires_grad=True)
    with FastDropout():
        y = F.dropout(x, 0.25)
    y.sum().backward()
    assert torch.equal(x.grad, y.detach())


def test_follows_the_seed_and_leaves_evaluation_alone() -> None:
    x, found = torch.randn(50, 50), []
    with FastDropout():
        for seed in (1, 1, 2):
            torch.manual_seed(seed)
            found.append(torch.nn.Dropout(0.3)(x))
        assert torch.equal(F.dropout(x, 0.3, training=False), x)
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])
