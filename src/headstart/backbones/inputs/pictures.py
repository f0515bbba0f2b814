"""Pictures inside a network: whether their channels come first or last."""

from __future__ import annotations

import math
from collections.abc import Sequence

from headstart.backbones.inputs.preparation import Batch


def channels_last(shape: Sequence[int], batch: Batch) -> bool:
    """Whether a state [B, C, H, W] or [B, H, W, C] of this shape has its channels last.

    The sides of a picture stay in proportion to those of the input, so the order is chosen in which they do; where both
    do, channels come first. batch: the network's input, with `pixel_values` [B, C, H, W]; without, sides are equal.
    """
    pixels = batch.get("pixel_values")
    wanted = 0.0 if pixels is None or pixels.dim() != 4 else math.log(pixels.shape[2] / pixels.shape[3])
    first, last = (abs(math.log(high / wide) - wanted) for high, wide in (shape[2:4], shape[1:3]))
    return last < first
