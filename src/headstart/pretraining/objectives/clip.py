"""CLIP: contrastive pretraining on images and captions."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from headstart.data.images.augmentation import parts_of
from headstart.pretraining.objectives.objective import OBJECTIVES, Objective, above, at_least, shares


@OBJECTIVES.register("clip")
@dataclass(frozen=True)
class Clip(Objective):
    """`1/2n sum_i [-log softmax_j(s x_i y_j)_i - log softmax_j(s y_i x_j)_i]` over the n pairs of a batch.

    x and y are the projected features of image and caption, of length one; the scale s = exp(log s) is learned, starts
    at 1/temperature, and is at most 100.

    Source: Radford et al. 2021, "Learning Transferable Visual Models From Natural Language Supervision", section 2.3,
    figure 3; the lock of a tower: Zhai et al. 2022, "LiT".
    """

    image: str = "resnet18"
    "image tower: a timm architecture with random weights, or a backbone: timm/…, a folder in timm's format, builtin/…"
    text: str = "tiny"
    "text tower: a BERT with random weights, tiny, mini or small; or a backbone: a folder in transformers' format"
    lock: Literal["none", "image", "text"] = "none"
    "frozen tower (LiT); its projection is trained"
    width: int = 128
    "width of the common space of both towers"
    channels: tuple[int, ...] = (24, 48, 96, 192)
    "channels per stage of a new image network, if the architecture takes them; default: the architecture's"
    image_size: int = 48
    "image size of a new image network, in pixels"
    vocabulary: int = 8_192
    "vocabulary of a new text network's tokenizer, trained on the captions, in tokens"
    length: int = 32
    "maximum length of a caption, in tokens"
    temperature: float = 0.07
    "initial temperature 1/s"
    batch_size: int = 256
    "pairs per step; each is contrasted with all others"
    chunk: int = 256
    "pairs per forward pass (GradCache): fewer need less memory and give the same gradient, except with batch norms"
    augment: str = "light"
    "image augmentation, as for `compare`, without mixup and cutmix, because captions can't be blended"
    learning_rate: float = 1e-3
    "peak learning rate of AdamW"
    weight_decay: float = 0.1
    "decoupled weight decay"
    warmup: float = 0.1
    "warmup as a share of the steps; afterwards the learning rate falls to zero as a cosine"
    epochs: int = 20
    "passes over the pairs, in epochs"

    largest: ClassVar[float] = math.log(100)
    "maximum of log s"
    family: ClassVar[str] = "pairs"
    summary: ClassVar[str] = "CLIP: an image and a text tower with a common space, from images and captions"

    def problems(self) -> Iterator[str]:
        yield from super().problems()
        if {"mixup", "cutmix"} & set(parts_of(self.augment)):
            yield f"augment is {self.augment}, but captions can't be blended; leave mixup and cutmix out."
        yield from at_least(self, 1, "width", "image_size")
        yield from at_least(self, 2, "batch_size", "chunk", unit="pairs")
        yield from at_least(self, 4, "length", unit="tokens")
        yield from at_least(self, 300, "vocabulary", unit="tokens")
        yield from above(self, 0, "temperature")
        yield from shares(self, "warmup")

    def loss(self, images: Tensor, texts: Tensor, log_scale: Tensor) -> Tensor:
        """InfoNCE loss, mean over both directions. images, texts: [n, D] of length one; log_scale: a scalar."""
        largest = torch.full_like(
            log_scale, self.largest
        )  # stays a tensor, because a float would be rounded differently and cut the gradient
        scores = log_scale.clamp(max=largest).exp() * images.float() @ texts.float().T  # [n, n]
        right = torch.arange(len(scores), device=scores.device)
        return (F.cross_entropy(scores, right) + F.cross_entropy(scores.T, right)) / 2
