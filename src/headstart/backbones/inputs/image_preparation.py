"""Image preprocessing: resize, crop and normalise, as in the backbone's pretraining."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from headstart.core.errors import ModelError

if TYPE_CHECKING:
    from PIL.Image import Image

Batch = dict[str, Tensor]

LONGEST = 64
"maximum aspect ratio before resizing; a longer strip is cut to its middle, because the crop shows less anyway"
TOKEN_PIXELS = 196
"""pixels that count as one token in `batch_tokens`: 32 images of 224 x 224 go through the model at once, because more
do not fit into the processor's caches (`benchmarks/cases/batches.py`)"""
BATCH_TOKENS = 8192
"default size of a forward pass, in tokens"
INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "lanczos", "box", "hamming")


@dataclass(frozen=True)
class ImagePreparation:
    """Images to normalised tensors [C, H, W] as in evaluation; the two halves leave room for augmentation between.

    size: height and width in pixels.
    mean, std: per channel, on values in [0, 1]; their length is the number of channels.
    interpolation: `bilinear`, `bicubic`, …
    crop_share: side of the centre crop as a share of the resized shorter side (`mode` `crop`).
    mode: `crop` resizes the shorter side and crops the centre; `squash` resizes to `size` without keeping the shape.
    assumed: sentence about assumed settings that the model's files lack, or empty.
    """

    size: tuple[int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    interpolation: str = "bicubic"
    crop_share: float = 1.0
    mode: str = "crop"
    assumed: str = field(default="", compare=False, repr=False)

    def __post_init__(self) -> None:
        if self.interpolation not in INTERPOLATIONS:
            raise ModelError(f"interpolation is {self.interpolation!r}; allowed: {', '.join(INTERPOLATIONS)}.")
        if self.mode not in ("crop", "squash"):
            raise ModelError(f"resize mode is {self.mode!r}; allowed: crop, squash.")
        if len(self.mean) not in (1, 3) or len(self.std) != len(self.mean):
            raise ModelError(f"mean and std need 1 or 3 numbers each; they have {len(self.mean)} and {len(self.std)}.")
        if not 0 < self.crop_share <= 1:
            raise ModelError(f"crop_share is {self.crop_share}; it must be above 0 and at most 1.")

    @property
    def channels(self) -> int:
        return len(self.mean)

    @property
    def tokens(self) -> int:
        """Size of one image in `batch_tokens`."""
        return max(1, self.size[0] * self.size[1] // TOKEN_PIXELS)

    def at_once(self, batch_tokens: int, most: int = 256) -> int:
        """Number of images per forward pass."""
        return max(1, min(most, batch_tokens // self.tokens))

    def convert(self, image: Image) -> Image:
        """The image as grey or RGB, by the model's channels."""
        wanted = "L" if self.channels == 1 else "RGB"
        return image if image.mode == wanted else image.convert(wanted)

    def resize_and_crop(self, image: Image) -> Image:
        """The picture at `size`, in the model's channels."""
        from PIL.Image import Resampling

        image = self.convert(_shortened(image) if self.mode == "crop" else image)
        height, width = self.size
        how = Resampling[self.interpolation.upper()]
        if self.mode == "squash":
            return image if image.size == (width, height) else image.resize((width, height), how)
        tall, wide = math.floor(height / self.crop_share), math.floor(width / self.crop_share)
        if tall == wide:  # the shorter side becomes `tall`, the longer one is rounded down, as torchvision does
            short, long = min(image.size), max(image.size)
            longer = max(int(tall * long / short), tall)
            target = (tall, longer) if image.width <= image.height else (longer, tall)
        else:
            scale = max(wide / image.width, tall / image.height)
            target = (max(round(image.width * scale), width), max(round(image.height * scale), height))
        image = image if image.size == target else image.resize(target, how)
        left, top = round((image.width - width) / 2.0), round((image.height - height) / 2.0)
        return image.crop((left, top, left + width, top + height))

    def to_tensor(self, image: Image) -> Tensor:
        """Normalised tensor [C, H, W], float32."""
        values: Any = np.array(self.convert(image), dtype=np.float32) / 255.0  # [H, W] or [H, W, C]
        values = values.reshape(*values.shape[:2], self.channels)
        values = (values - np.asarray(self.mean, np.float32)) / np.asarray(self.std, np.float32)
        return torch.from_numpy(np.ascontiguousarray(values.transpose(2, 0, 1)))  # [C, H, W]

    def normalised(self, pixels: Tensor) -> Tensor:
        """Normalises bytes [B, C, H, W] with the model's mean and deviation to float32, on their device."""
        mean, std = (
            torch.tensor(v).view(1, -1, 1, 1).to(pixels.device, non_blocking=True) for v in (self.mean, self.std)
        )
        return (pixels.float() / 255 - mean) / std

    def prepare(self, image: Image) -> Tensor:
        """The input in evaluation: `to_tensor(resize_and_crop(image))`, [C, H, W]."""
        return self.to_tensor(self.resize_and_crop(image))

    def collate(self, examples: Sequence[Tensor]) -> Batch:
        """`pixel_values` [B, C, H, W]."""
        return {"pixel_values": torch.stack(list(examples))}

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": "image",
            "size": list(self.size),
            "mean": list(self.mean),
            "std": list(self.std),
            "interpolation": self.interpolation,
            "crop_share": self.crop_share,
            "mode": self.mode,
        }

    def like(self, value: dict[str, Any]) -> bool:
        """True if this prepares as a `to_json` record says."""
        return self.to_json() == value

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> ImagePreparation:
        return cls(
            size=(int(value["size"][0]), int(value["size"][1])),
            mean=tuple(value["mean"]),
            std=tuple(value["std"]),
            interpolation=value["interpolation"],
            crop_share=value["crop_share"],
            mode=value["mode"],
        )


def _shortened(image: Image) -> Image:
    """The middle of a long strip, because its shorter side is scaled up: 40,000 x 1 pixels would take 6 GB."""
    width, height = image.size
    most = LONGEST * min(width, height)
    if max(width, height) <= most:
        return image
    left, top = max(0, (width - most) // 2), max(0, (height - most) // 2)
    return image.crop((left, top, min(width, left + most), min(height, top + most)))
