"""Supervised classification: the oldest way to pretrain a vision backbone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from torch import Tensor
from torch.nn import functional as F

from headstart.objectives.objective import OBJECTIVES, Objective, at_least, shares


@OBJECTIVES.register("classify")
@dataclass(frozen=True)
class Classify(Objective):
    """`-sum_c q_c log p_c` with smoothed targets `q = (1 - s) onehot(y) + s/C`, a head for each labelled source.

    Sources: Szegedy et al. 2016, "Rethinking the Inception Architecture", section 7 (label smoothing).
    """

    family: ClassVar[str] = "labelled"
    summary: ClassVar[str] = "an image network on labelled images, a head for each source"

    architecture: str = "resnet18"
    "a timm architecture"
    channels: tuple[int, ...] = (24, 48, 96, 192)
    "channels of its stages, where the architecture takes them; empty: its own"
    image_size: int = 48
    "side of the images in pixels"
    label_smoothing: float = 0.1
    "share s of the target that is spread over all classes"
    learning_rate: float = 3e-3
    "peak rate of AdamW"
    weight_decay: float = 0.05
    "decoupled weight decay"
    epochs: int = 12
    "passes over all sources"
    batch_size: int = 128
    "examples a step; each step draws from one source"
    augment: Literal["none", "light", "strong"] = "light"
    "augmentation of the images"

    def problems(self) -> Iterator[str]:
        yield from super().problems()
        yield from at_least(self, 1, "batch_size", "image_size")
        yield from shares(self, "label_smoothing")

    def loss(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Sum over the batch. scores: [B, C]; targets: [B] class indices."""
        return F.cross_entropy(scores, targets, reduction="sum", label_smoothing=self.label_smoothing)

    def folder_config(self) -> dict[str, Any]:
        """The `config.json` from which timm, and our loader, build the network."""
        side = self.image_size
        return {
            "architecture": self.architecture,
            "num_classes": 0,
            "model_args": {"channels": list(self.channels)} if self.channels else {},
            "pretrained_cfg": {
                "input_size": [3, side, side],
                "fixed_input_size": False,
                "interpolation": "bilinear",
                "crop_pct": 1.0,
                "crop_mode": "center",
                "mean": [0.485, 0.456, 0.406],
                "std": [0.229, 0.224, 0.225],
                "first_conv": "conv1",
                "classifier": "fc",
            },
        }
