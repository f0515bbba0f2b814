"""Zero-shot classification by class names, without training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from headstart.backbones.loaders.two_towers import TwoTowers
from headstart.core.errors import DataError
from headstart.data.read import read
from headstart.engine.machine.precision import Compute
from headstart.engine.towers import image_features
from headstart.stats.intervals import interval
from headstart.stats.metrics import metric
from headstart.stats.predictions import Predictions


def class_features(towers: TwoTowers, labels: Sequence[str], templates: Sequence[str], compute: Compute) -> Tensor:
    """[C, D] of length one, as `TwoTowers.encode_classes`."""
    towers.module.to(compute.device).eval()
    with compute.autocast():
        return towers.encode_classes(labels, templates)


def probabilities(towers: TwoTowers, images: Tensor, classes: Tensor) -> np.ndarray:
    """[n, C] softmax of the scaled cosines. images: [n, D]; classes: [C, D], of length one."""
    found: np.ndarray = (towers.scale * images @ classes.T).softmax(1).float().cpu().numpy()
    return found


def accuracy(
    towers: TwoTowers, source: str, label: str | None, templates: Sequence[str], compute: Compute
) -> dict[str, Any]:
    """Accuracy on all splits of a labelled set of images, with its interval.

    Raises `DataError` if the source holds no images with one label each.
    """
    data = read(source, label=label)
    if not data.task.input.is_image or not data.task.exclusive:
        raise DataError(f"{source} holds no images with one label each. Name the column with --label.")
    classes = class_features(towers, data.task.labels, templates, compute).float()
    parts = [part for part in (data.train, data.validation, data.test) if len(part)]
    features = torch.cat([image_features(towers, part, compute).float() for part in parts])
    targets = np.concatenate([part.targets for part in parts])
    scores = probabilities(towers, features, classes)
    value, low, high = interval([Predictions(np.arange(len(targets)), targets, scores)], metric("single_label"))
    return {
        "value": value, "low": low, "high": high, "examples": len(targets), "classes": len(data.task.labels),
        "label": data.record.columns.get("label"), "largest_class": float(np.bincount(targets).max() / len(targets)),
        "templates": list(templates),
    }  # fmt: skip
