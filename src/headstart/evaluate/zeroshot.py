"""Zero-shot classification: classes are told in words, and no example of them is trained on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from headstart.backbones.preparation import ImagePreparation
from headstart.backbones.two_towers import TwoTowers
from headstart.core.errors import DataError
from headstart.data.examples import Examples, Input
from headstart.data.images import picture
from headstart.data.read import read
from headstart.engine.precision import Compute
from headstart.evaluate.intervals import interval
from headstart.evaluate.metrics import metric
from headstart.evaluate.predictions import Predictions

AT_ONCE = 128


def class_features(towers: TwoTowers, labels: Sequence[str], templates: Sequence[str], compute: Compute) -> Tensor:
    """[C, D] of length one, as `TwoTowers.encode_classes`."""
    towers.module.to(compute.device).eval()
    with compute.autocast():
        return towers.encode_classes(labels, templates)


def text_features(towers: TwoTowers, texts: Sequence[str], compute: Compute) -> Tensor:
    """[n, D] of length one."""
    towers.module.to(compute.device).eval()
    with compute.autocast():
        return towers.read(texts)


def image_features(towers: TwoTowers, images: Sequence[Input] | Examples, compute: Compute) -> Tensor:
    """[n, D] of length one. images: encoded bytes, paths, or examples, which are read a part at a time."""
    towers.module.to(compute.device).eval()
    preparation: ImagePreparation = towers.image_preparation
    found = []
    for at in range(0, len(images), AT_ONCE):
        part = range(at, min(at + AT_ONCE, len(images)))
        data = images.inputs(np.array(part)) if isinstance(images, Examples) else images[at : at + AT_ONCE]
        pixels = [preparation.prepare(picture(one)) for one in data if not isinstance(one, tuple)]
        batch = {name: value.to(compute.device) for name, value in preparation.collate(pixels).items()}
        with torch.no_grad(), compute.autocast():
            found.append(towers.encode_images(batch))
    return torch.cat(found)


def probabilities(towers: TwoTowers, images: Tensor, classes: Tensor) -> np.ndarray:
    """[n, C] softmax of the scaled cosines. images: [n, D]; classes: [C, D], of length one."""
    found: np.ndarray = (towers.scale * images @ classes.T).softmax(1).float().cpu().numpy()
    return found


def accuracy(
    towers: TwoTowers, source: str, label: str | None, templates: Sequence[str], compute: Compute
) -> dict[str, Any]:
    """The share of a labelled set's images that are told right, of all its splits, with its interval.

    Raises `DataError` where the source holds no images with one label each.
    """
    data = read(source, label=label)
    if data.task.modality != "image" or data.task.kind != "single_label":
        raise DataError(f"{source} holds no images with one label each. Name the column with --label.")
    classes = class_features(towers, data.task.labels, templates, compute).float()
    parts = [part for part in (data.train, data.validation, data.test) if len(part)]
    features = torch.cat([image_features(towers, part, compute).float() for part in parts])
    targets = np.concatenate([part.targets for part in parts])
    scores = probabilities(towers, features, classes)
    value, low, high = interval([Predictions(np.arange(len(targets)), targets, scores)], metric("single_label"))
    return {
        "value": value, "low": low, "high": high, "examples": len(targets), "classes": len(data.task.labels),
        "largest_class": float(np.bincount(targets).max() / len(targets)), "templates": list(templates),
    }  # fmt: skip
