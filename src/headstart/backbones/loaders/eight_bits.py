"""8-bit weight quantisation, so that a text encoder with eleven million weights fits into the package."""

from __future__ import annotations

import torch
from torch import Tensor

SCALE = ".scale"


def shrunk(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Matrices row by row as `w = scale * q` with integers |q| <= 127; vectors in half precision.

    Rounding changes a weight by at most 1/254 of the largest one in its row.
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
    """Inverse of `shrunk` up to rounding, in fp32."""
    found: dict[str, Tensor] = {}
    for name, value in state.items():
        if name.endswith(SCALE):
            continue
        scale = state.get(name + SCALE)
        wide = value.float() if value.is_floating_point() or scale is not None else value
        found[name] = wide if scale is None else wide * scale.float().reshape(-1, *[1] * (value.dim() - 1))
    return found
