"""Augmentation: another view of a training example, the same for the same seed, view and example."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from headstart.core.inputs import INPUT_KINDS
from headstart.core.seeds import derive
from headstart.data.examples import Input
from headstart.data.images.augmentation import parts_of
from headstart.engine.machine.seeding import set_seed


@dataclass(frozen=True)
class Augment:
    """name: of images, see `parts_of`; the same for the same seed, view and example.

    word_dropout: probability with which a word of a text is left out.
    """

    name: str = "none"
    word_dropout: float = 0.0
    seed: int = 0

    @cached_property
    def parts(self) -> tuple[str, ...]:
        return parts_of(self.name)

    @property
    def blends(self) -> bool:
        """True if `mix` must be called on each batch of images."""
        return bool({"mixup", "cutmix"} & set(self.parts))

    def fresh(self, modality: str) -> bool:
        """True if each epoch sees other views than the one before."""
        return bool(self.parts) if INPUT_KINDS[modality].is_image else self.word_dropout > 0

    def image(self, image: Tensor, view: int, example: int) -> Tensor:
        """Another view of a uint8 image [C, H, W]."""
        parts = tuple(part for part in self.parts if part not in ("mixup", "cutmix"))
        if not parts:
            return image
        with torch.random.fork_rng(devices=[]):
            set_seed(torch.device("cpu"), derive(self.seed, "view", view, example))
            changed: Tensor = _transform(parts, tuple(image.shape))(image)
        return changed

    def text(self, text: Input, view: int, example: int) -> Input:
        """The text, or both texts of a pair, without some of its words; never without all."""
        if isinstance(text, tuple):
            return self._drop(text[0], view, example), self._drop(text[1], view, example + (1 << 40))
        assert isinstance(text, str)
        return self._drop(text, view, example)

    def _drop(self, text: str, view: int, example: int) -> str:
        words = text.split()
        keep = np.random.default_rng(derive(self.seed, "view", view, example)).random(len(words)) >= self.word_dropout
        return " ".join(word for word, kept in zip(words, keep) if kept) if keep.any() else text

    def mix(self, images: Tensor, targets: Tensor, classes: int) -> tuple[Tensor, Tensor]:
        """Blends the images [B, 3, H, W] and class indices [B] of a batch; gives class shares [B, classes]."""
        from torchvision.transforms import v2

        blend: Any = (
            v2.MixUp(num_classes=classes, alpha=0.2) if "mixup" in self.parts else v2.CutMix(num_classes=classes)
        )
        mixed: tuple[Tensor, Tensor] = blend(images, targets)
        return mixed


@functools.cache
def _transform(parts: tuple[str, ...], shape: tuple[int, ...]) -> Callable[[Tensor], Tensor]:
    """shape: [C, H, W] of the images."""
    from torchvision.transforms import v2

    channels, height, width = shape
    hues = {"saturation": 0.3, "hue": 0.05} if channels == 3 else {}
    made: dict[str, Callable[[], Any]] = {
        "crop": lambda: v2.RandomResizedCrop((height, width), scale=(0.6, 1.0), antialias=True),
        "shift": lambda: v2.RandomAffine(degrees=8, translate=(0.08, 0.08), scale=(0.9, 1.1), interpolation=2),
        "flip": v2.RandomHorizontalFlip,
        "randaugment": v2.RandAugment,
        "colour": lambda: v2.ColorJitter(brightness=0.3, contrast=0.3, **hues),
        "erase": lambda: v2.RandomErasing(p=0.25),
    }
    return v2.Compose([made[part]() for part in parts])
