"""Pooling ignores padding, wherever it stands and whatever is in it."""

from __future__ import annotations

import pytest
import torch

from headstart.backbones.inputs.pooling import pool
from headstart.core.errors import ConfigurationError


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("garbage", [1e6, float("nan"), float("inf")])
def test_padding_has_no_influence(side: str, garbage: float) -> None:
    real = torch.arange(6.0).reshape(3, 2)  # three tokens: (0, 1), (2, 3), (4, 5)
    padding = torch.full((2, 2), garbage)
    hidden = torch.cat([padding, real] if side == "left" else [real, padding])[None]
    mask = torch.tensor([[0, 0, 1, 1, 1] if side == "left" else [1, 1, 1, 0, 0]])
    assert pool(hidden, mask, "mean").tolist() == [[2.0, 3.0]]
    assert pool(hidden, mask, "cls").tolist() == [[0.0, 1.0]]
    assert pool(hidden, mask, "last").tolist() == [[4.0, 5.0]]


def test_without_a_mask_all_are_real() -> None:
    hidden = torch.arange(6.0).reshape(1, 3, 2)
    assert pool(hidden, None, "last").tolist() == [[4.0, 5.0]]
    with pytest.raises(ConfigurationError, match="mean"):
        pool(hidden, None, "men")
