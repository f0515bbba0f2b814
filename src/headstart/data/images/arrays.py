"""Images as arrays or tensors: axes, types and ranges of values."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image

from headstart.core.errors import DataError
from headstart.core.records.decoding import Decoding
from headstart.data.images.decoding import levels


def pixels(value: Any, decoding: Decoding) -> np.ndarray:
    """An array or tensor [H, W], [H, W, C] or [C, H, W] of 1 to 4 channels as [H, W] or [H, W, C].

    Raises `DataError` for other shapes and types, and for floats outside 0 … 255.
    """
    is_tensor = hasattr(value, "detach")
    if is_tensor:
        value = value.detach().cpu()
        value = value.float() if value.is_floating_point() else value
    values = np.asarray(value)
    shown = f"{'a tensor' if is_tensor else 'an array'} of shape {list(values.shape)} and type {values.dtype}"
    channels_first = values.ndim == 3 and values.shape[0] in (1, 3, 4)
    if channels_first and (is_tensor or values.shape[2] not in (1, 3, 4)):
        values = np.moveaxis(values, 0, 2)
    if values.dtype.kind not in "buif" or not (
        values.ndim == 2 or (values.ndim == 3 and values.shape[2] in (1, 2, 3, 4))
    ):
        raise DataError(f"{shown} is no image. Give numbers as [H, W], [H, W, C] or [C, H, W] with 1 to 4 channels.")
    if not values.size:
        raise DataError(f"{shown} has no pixels.")
    values = values[:, :, 0] if values.ndim == 3 and values.shape[2] == 1 else values
    if values.dtype.kind == "f":
        _check_floats(values, shown, decoding)
    return values


def _check_floats(values: np.ndarray, shown: str, decoding: Decoding) -> None:
    low, high = float(values.min()), float(values.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise DataError(f"{shown} holds values that are not finite.")
    if not decoding.floats and (low < 0 or high > 255):
        raise DataError(
            f"{shown} holds values from {low:.3g} to {high:.3g}. Give 0 … 1 or 0 … 255, before any mean and deviation "
            "are taken off: the model's own are applied here."
        )


def image_of(values: np.ndarray, decoding: Decoding) -> Image.Image:
    """[H, W] or [H, W, C] of any number type; alpha, the last of 2 or 4 channels, goes from 0 to its type's largest."""
    if values.dtype.kind == "b":
        values = values.astype(np.uint8) * np.uint8(255)
    if values.dtype != np.uint8:
        colours, alpha = (values[..., :-1], values[..., -1:]) if values.shape[2:] in ((2,), (4,)) else (values, None)
        grey = levels(colours, decoding)
        if alpha is not None:
            top = 65_535 if values.dtype == np.uint16 else 255 if alpha.max() > 1 else 1
            grey = np.concatenate([grey, np.rint(alpha * (255.0 / top)).clip(0, 255).astype(np.uint8)], axis=2)
        values = grey
    return Image.fromarray(np.ascontiguousarray(values))
