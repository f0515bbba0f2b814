"""Zero-shot classification: classes are told in words, and no example of them is trained on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from headstart.backbones.preparation import ImagePreparation
from headstart.backbones.two_towers import TwoTowers
from headstart.core.errors import ConfigurationError
from headstart.data.examples import Examples, Input
from headstart.data.images import decode
from headstart.engine.precision import Compute

AT_ONCE = 128
TEMPLATE = "{}"


def check_templates(templates: Sequence[str], labels: Sequence[str]) -> None:
    """Raises `ConfigurationError` where there is nothing to tell apart, or a template has no place for a label."""
    if len(set(labels)) < 2:
        raise ConfigurationError(f"zero-shot takes two labels or more; there are {len(set(labels))}: --labels 'a,b,c'.")
    for template in templates:
        if "{}" not in template:
            raise ConfigurationError(f"the template {template!r} has no place for the label; put {{}} where it goes.")


def class_features(towers: TwoTowers, labels: Sequence[str], templates: Sequence[str], compute: Compute) -> Tensor:
    """[C, D] of length one: for each label the mean over the templates of its features of length one.

    Source: Radford et al. 2021, "CLIP", section 3.1.4.
    """
    said = [template.replace("{}", label.replace("_", " ")) for label in labels for template in templates]
    every = text_features(towers, said, compute)
    return F.normalize(every.reshape(len(labels), len(templates), -1).mean(1), dim=-1)


def text_features(towers: TwoTowers, texts: Sequence[str], compute: Compute) -> Tensor:
    """[n, D] of length one."""
    towers.module.to(compute.device).eval()
    rows = towers.text_preparation.encode(list(texts))
    found = []
    for at in range(0, len(rows), AT_ONCE):
        batch = towers.text_preparation.collate(rows[at : at + AT_ONCE])
        with torch.no_grad(), compute.autocast():
            found.append(towers.encode_texts({name: value.to(compute.device) for name, value in batch.items()}))
    return torch.cat(found)


def image_features(towers: TwoTowers, images: Sequence[Input] | Examples, compute: Compute) -> Tensor:
    """[n, D] of length one. images: encoded bytes, or examples, which are read a part at a time."""
    towers.module.to(compute.device).eval()
    preparation: ImagePreparation = towers.image_preparation
    found = []
    for at in range(0, len(images), AT_ONCE):
        part = range(at, min(at + AT_ONCE, len(images)))
        data = images.inputs(np.array(part)) if isinstance(images, Examples) else images[at : at + AT_ONCE]
        pixels = [preparation.prepare(decode(one)) for one in data if isinstance(one, bytes)]
        batch = {name: value.to(compute.device) for name, value in preparation.collate(pixels).items()}
        with torch.no_grad(), compute.autocast():
            found.append(towers.encode_images(batch))
    return torch.cat(found)


def probabilities(towers: TwoTowers, images: Tensor, classes: Tensor) -> np.ndarray:
    """[n, C] softmax of the scaled cosines. images: [n, D]; classes: [C, D], of length one."""
    found: np.ndarray = (towers.scale * images @ classes.T).softmax(1).float().cpu().numpy()
    return found
