"""Supervised classification as pretraining of an image backbone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor
from torch.nn import functional as F

from headstart.data.images.augmentation import parts_of
from headstart.pretraining.objectives.objective import OBJECTIVES, Objective, at_least, shares

IMAGE_SIZE = 48
"default image size of a new network, in pixels"


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
    summary: ClassVar[str] = "supervised classification: an image network with a head per labelled source"

    architecture: str = "resnet18"
    "architecture of a new network, by timm's name"
    channels: tuple[int, ...] = (24, 48, 96, 192)
    "channels per stage, if the architecture takes them; default: the architecture's"
    patch_size: int = 0
    "patch size of a vision transformer, in pixels; 0: the architecture's"
    depth: int = 0
    "number of blocks of a vision transformer; 0: the architecture's"
    image_size: int | None = None
    "image size, in pixels; default: 48, or that of the given backbone"
    label_smoothing: float = 0.1
    "label smoothing s: share of the target that is spread over all classes"
    learning_rate: float | None = None
    "peak learning rate of AdamW; default: 3e-3, for transformers 1e-3"
    weight_decay: float = 0.05
    "decoupled weight decay; not on biases, norms, positions and tokens"
    warmup: float = 0.05
    "warmup as a share of the steps; afterwards the learning rate falls to zero as a cosine"
    epochs: int = 12
    "passes over all sources, in epochs"
    batch_size: int = 128
    "examples per step; each step uses one source"
    augment: str = "light"
    "image augmentation, as for `compare`; mixup and cutmix blend pairs of images and their labels"
    ema: float = 0.0
    "decay per step of the exponential moving average of the weights, which is then evaluated and saved; 0: none"

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
