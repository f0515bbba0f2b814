"""CLIP: pictures and their captions belong together."""

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

    x and y are the features of picture and caption, projected to one width and scaled to length one; the scale s =
    exp(log s) is learned, from 1/temperature, and at most 100.

    Source: Radford et al. 2021, "Learning Transferable Visual Models From Natural Language Supervision", section 2.3,
    figure 3; the lock of a tower: Zhai et al. 2022, "LiT".
    """

    image: str = "resnet18"
    "a timm architecture with random weights; or a backbone to start from: timm/…, a folder in timm's format, builtin/…"
    text: str = "tiny"
    "a BERT with random weights, `tiny`, `mini` or `small`; or a backbone: a folder in transformers' format"
    lock: Literal["none", "image", "text"] = "none"
    "a tower that is not trained; its projection is"
    width: int = 128
    "of the features that both towers share"
    channels: tuple[int, ...] = (24, 48, 96, 192)
    "channels of a new image network's stages, where the architecture takes them; empty: its own"
    image_size: int = 48
    "side of a new image network's pictures in pixels"
    vocabulary: int = 8_192
    "tokens of a new text network's tokenizer, which is trained on the captions"
    length: int = 32
    "most tokens of a caption"
    temperature: float = 0.07
    "1/s in the beginning"
    batch_size: int = 256
    "pairs a step, each told from all others"
    chunk: int = 256
    "pairs that go through the towers at once: fewer take less memory, and give the same gradient (but for batch norms)"
    augment: str = "light"
    "augmentation of the images, as for `compare`, but without mixup and cutmix, since captions can't be blended"
    learning_rate: float = 1e-3
    "peak rate of AdamW"
    weight_decay: float = 0.1
    "decoupled weight decay"
    warmup: float = 0.1
    "share of the steps in which the rate rises, before it falls to zero as a cosine"
    epochs: int = 20
    "passes over the pairs"

    largest: ClassVar[float] = math.log(100)
    "that log s may grow to"
    family: ClassVar[str] = "pairs"
    summary: ClassVar[str] = "CLIP: two towers, for pictures and for their captions, that agree"

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
        """Mean over both directions. images, texts: [n, D] of length one; log_scale: a number."""
        largest = torch.full_like(log_scale, self.largest)  # as a number it is rounded otherwise, and cuts the gradient
        scores = log_scale.clamp(max=largest).exp() * images.float() @ texts.float().T  # [n, n]
        right = torch.arange(len(scores), device=scores.device)
        return (F.cross_entropy(scores, right) + F.cross_entropy(scores.T, right)) / 2
