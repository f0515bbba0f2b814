"""Supervised classification: the oldest way to pretrain a vision backbone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor
from torch.nn import functional as F

from headstart.data.images.augmentation import parts_of
from headstart.pretraining.objectives.objective import OBJECTIVES, Objective, at_least, shares

IMAGE_SIZE = 48
"side of the images of a new network, where none is given"


@OBJECTIVES.register("classify")
@dataclass(frozen=True)
class Classify(Objective):
    """`-sum_c q_c log p_c` with smoothed targets `q = (1 - s) t + s/C`, a head for each labelled source.

    t is the example's class; under mixup and cutmix, the shares of both examples' classes.

    Sources: Szegedy et al. 2016, "Rethinking the Inception Architecture", section 7 (label smoothing) and 8 (average of
    the weights); He et al. 2016, "Deep Residual Learning"; Dosovitskiy et al. 2021, "An Image is Worth 16x16 Words",
    section 3.1 (patches, class token, learned positions) and 3.2 (positions interpolated for another resolution); Zhang
    et al. 2018, "mixup", section 2; Yun et al. 2019, "CutMix", section 3.1.
    """

    family: ClassVar[str] = "labelled"
    of_new: ClassVar[tuple[str, ...]] = ("architecture", "channels", "patch_size", "depth")
    summary: ClassVar[str] = "an image network on labelled images, a head for each source"

    architecture: str = "resnet18"
    "a timm architecture"
    channels: tuple[int, ...] = (24, 48, 96, 192)
    "channels of its stages, where the architecture takes them; empty: its own"
    patch_size: int = 0
    "side of a vision transformer's patches in pixels; 0: its own"
    depth: int = 0
    "blocks of a vision transformer; 0: its own"
    image_size: int | None = None
    "side of the images in pixels; left out: 48, or that of the backbone it goes on from"
    label_smoothing: float = 0.1
    "share s of the target that is spread over all classes"
    learning_rate: float | None = None
    "peak rate of AdamW; left out: 3e-3, for transformers 1e-3"
    weight_decay: float = 0.05
    "decoupled weight decay; none on biases, norms, positions and tokens"
    warmup: float = 0.05
    "share of the steps in which the rate rises, before it falls to zero as a cosine"
    epochs: int = 12
    "passes over all sources"
    batch_size: int = 128
    "examples a step; each step draws from one source"
    augment: str = "light"
    "augmentation of the images, as for `compare`; mixup and cutmix blend pairs of them, and their labels"
    ema: float = 0.0
    "decay a step of a moving average of the weights, which is then what is judged and written; 0: none"

    def problems(self) -> Iterator[str]:
        yield from super().problems()
        parts_of(self.augment)
        yield from at_least(self, 1, "batch_size", "image_size")
        yield from at_least(self, 0, "patch_size", "depth")
        yield from shares(self, "label_smoothing", "warmup", "ema")
        if self.channels and min(self.channels) < 1:
            yield f"channels are {', '.join(map(str, self.channels))}, but each has to be at least 1."

    def rate(self, kind: str) -> float:
        """The peak learning rate for a backbone of this kind."""
        return self.learning_rate or {"vit": 1e-3}.get(kind, 3e-3)

    def loss(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Sum over the batch. scores: [B, C]; targets: [B] class indices, or shares of the classes [B, C]."""
        return F.cross_entropy(scores, targets, reduction="sum", label_smoothing=self.label_smoothing)
