"""Memory layout of feature maps: channels first or last."""

from __future__ import annotations

import math
from collections.abc import Sequence

from headstart.backbones.inputs.preparation import Batch


def channels_last(shape: Sequence[int], batch: Batch) -> bool:
    """True if a state of this shape is [B, H, W, C], False for [B, C, H, W].

    The order is chosen whose aspect ratio is closer to that of the input; ties mean channels first. batch: the
    network's input, with `pixel_values` [B, C, H, W]; without these, the input counts as square.
    """
    pixels = batch.get("pixel_values")
    wanted = 0.0 if pixels is None or pixels.dim() != 4 else math.log(pixels.shape[2] / pixels.shape[3])
    first, last = (abs(math.log(high / wide) - wanted) for high, wide in (shape[2:4], shape[1:3]))
    return last < first
