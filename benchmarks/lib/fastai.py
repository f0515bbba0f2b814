"""A peer: fastai's gradual unfreezing, as its users write it."""

from __future__ import annotations

import time
from typing import Any


def unfreeze(inputs: Any, labels: Any, size: int, batch: int) -> float:
    """Seconds of three epochs of a torchvision ResNet-18: its head alone, its last two groups, the whole.

    inputs: encoded pictures; labels: a name each; size: pixels a side. There is no validation set and no download.
    """
    from fastai.vision.all import CategoryBlock, DataBlock, ImageBlock, Resize, accuracy, vision_learner
    from torchvision.models import resnet18

    start = time.perf_counter()
    block = DataBlock(
        blocks=(ImageBlock, CategoryBlock), get_x=lambda i: inputs[i], get_y=lambda i: labels[i],
        splitter=lambda items: (list(range(len(items))), []), item_tfms=Resize(size),
    )  # fmt: skip
    loaders = block.dataloaders(range(len(inputs)), bs=batch, num_workers=0, device="cpu")
    learner = vision_learner(loaders, resnet18, pretrained=False, metrics=accuracy)
    with learner.no_bar(), learner.no_logging():
        for open_one in (lambda: learner.freeze_to(-1), lambda: learner.freeze_to(-2), learner.unfreeze):
            open_one()
            learner.fit_one_cycle(1)
    return time.perf_counter() - start
