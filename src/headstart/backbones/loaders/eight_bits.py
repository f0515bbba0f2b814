"""Weights in a byte each: what lets a text encoder of eleven million weights fit into the package."""

from __future__ import annotations

import torch
from torch import Tensor

SCALE = ".scale"


def shrunk(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Matrices row by row as `w = scale * q` with integers |q| <= 127; vectors in half precision.

    The rounding moves a weight by at most 1/254 of the largest of its row.
    """
    found: dict[str, Tensor] = {}
    for name, value in state.items():
        if value.dim() < 2:
            found[name] = value.half() if value.is_floating_point() else value
            continue
        scale = (value.float().flatten(1).abs().amax(1) / 127).clamp(min=1e-8)  # [rows]
        stored = scale.half()
        wide = stored.float().clamp(min=1e-7).reshape(-1, *[1] * (value.dim() - 1))
        found[name] = (value.float() / wide).round().clamp(-127, 127).to(torch.int8)
        found[name + SCALE] = stored
    return found


def restored(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """What `shrunk` was given, to the rounding, in fp32."""
    found: dict[str, Tensor] = {}
    for name, value in state.items():
        if name.endswith(SCALE):
            continue
        scale = state.get(name + SCALE)
        wide = value.float() if value.is_floating_point() or scale is not None else value
        found[name] = wide if scale is None else wide * scale.float().reshape(-1, *[1] * (value.dim() - 1))
    return found
