"""Augmentation: another view of a training example, the same for the same seed, view and example."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from headstart.core.seeds import derive
from headstart.data.examples import Input

AugmentName = Literal["none", "light", "strong", "mixup", "cutmix"]


@dataclass(frozen=True)
class Augment:
    """light: small shifts, scalings and rotations. strong: RandAugment, horizontal flips and erasing.

    mixup and cutmix: light, and pairs of examples blended with their labels (Zhang et al. 2018; Yun et al. 2019).
    word_dropout: probability with which a word of a text is left out.
    """

    name: AugmentName = "none"
    word_dropout: float = 0.0
    seed: int = 0

    @property
    def blends(self) -> bool:
        """Whether `mix` is to be called on each batch of images."""
        return self.name in ("mixup", "cutmix")

    def fresh(self, modality: str) -> bool:
        """Whether each epoch sees other views than the one before."""
        return self.name != "none" if modality == "image" else self.word_dropout > 0

    def image(self, image: Tensor, view: int, example: int) -> Tensor:
        """Another view of a uint8 image [3, H, W]."""
        if self.name == "none":
            return image
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive(self.seed, "view", view, example))
            changed: Tensor = _transform("strong" if self.name == "strong" else "light")(image)
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
            v2.MixUp(num_classes=classes, alpha=0.2) if self.name == "mixup" else v2.CutMix(num_classes=classes)
        )
        mixed: tuple[Tensor, Tensor] = blend(images, targets)
        return mixed


def _transform(name: str) -> Callable[[Tensor], Tensor]:
    from torchvision.transforms import v2

    if name not in _TRANSFORMS:
        _TRANSFORMS["light"] = v2.RandomAffine(degrees=8, translate=(0.08, 0.08), scale=(0.9, 1.1), interpolation=2)
        _TRANSFORMS["strong"] = v2.Compose([v2.RandomHorizontalFlip(), v2.RandAugment(), v2.RandomErasing(p=0.25)])
    return _TRANSFORMS[name]


_TRANSFORMS: dict[str, Callable[[Tensor], Tensor]] = {}
