"""Penalties: terms of the loss that hold a model near its base."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from headstart.methods.plan import Penalty


def weight_penalty(penalty: Penalty, now: Mapping[str, Tensor], base: Mapping[str, Tensor]) -> Tensor:
    """`strength/2 sum (w - w_0)^2` over the backbone and `head/2 sum v^2` over the head; a scalar.

    now: trained parameters by name; base: what those of the backbone were before.
    """
    total = torch.zeros(())
    for name, value in now.items():
        if name in base:
            total = total.to(value.device) + 0.5 * penalty.strength * (value - base[name]).square().sum()
        else:
            total = total.to(value.device) + 0.5 * penalty.head * value.square().sum()
    return total


def feature_penalty(penalty: Penalty, features: Tensor, base: Tensor, variance: float) -> Tensor:
    """`strength/2 sum_i mean_d (f_id - f0_id)^2 / variance`, a scalar; features and base: [B, D]."""
    return 0.5 * penalty.strength * (features - base).square().mean(dim=1).sum() / variance
