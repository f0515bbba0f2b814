"""Two towers: features of images and texts, and recall at k between them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from headstart.backbones.inputs.image_preparation import BATCH_TOKENS
from headstart.backbones.inputs.preparation import ImagePreparation
from headstart.backbones.loaders.two_towers import TwoTowers
from headstart.data.examples import Examples, Input
from headstart.data.images.image import picture
from headstart.engine.machine.precision import Compute

RANKS = (1, 5, 10)
ROWS = 1024
"rows that are scored against all others at once"


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
    together = preparation.at_once(BATCH_TOKENS)
    for at in range(0, len(images), together):
        part = range(at, min(at + together, len(images)))
        data = images.inputs(np.array(part)) if isinstance(images, Examples) else images[at : at + together]
        pixels = [preparation.prepare(picture(one)) for one in data if not isinstance(one, tuple)]
        batch = {name: value.to(compute.device) for name, value in preparation.collate(pixels).items()}
        with torch.no_grad(), compute.autocast():
            found.append(towers.encode_images(batch))
    return torch.cat(found)


def recalls(images: Tensor, texts: Tensor, same: Tensor | None = None) -> dict[str, dict[str, float]]:
    """Recall at 1, 5 and 10 both ways: `texts` is the share of pictures whose text is among the k nearest, `images` the
    share of texts whose picture is.

    images, texts: [n, D] of length one, row by row one belongs to the other. same: [n] numbers of texts; equal texts
    are equally right, and the nearest of them counts.
    """
    number = torch.arange(len(images), device=images.device) if same is None else same.to(images.device)
    return {"texts": _recall(images, texts, number), "images": _recall(texts, images, number)}


def _recall(asked: Tensor, among: Tensor, number: Tensor) -> dict[str, float]:
    """The best of the right ones is in place 1 + how many wrong ones are above it."""
    places = []
    for at in range(0, len(asked), ROWS):
        scores = asked[at : at + ROWS] @ among.T  # [rows, n]
        right = number[at : at + ROWS, None] == number
        best = scores.masked_fill(~right, -torch.inf).amax(1, keepdim=True)
        places.append(((scores > best) & ~right).sum(1))
    place = torch.cat(places)
    return {str(k): float((place < k).float().mean()) for k in RANKS}


def told_apart(texts: Sequence[str]) -> tuple[Tensor, float]:
    """[n] numbers of the texts, equal for equal ones, and how often chance finds a right one among the first ten."""
    _, same = np.unique(list(texts), return_inverse=True)
    count, asked = len(same), min(10, len(same))
    right = np.bincount(same)[same]  # texts that are right for a picture
    drawn = np.arange(asked)  # without replacement: each that is drawn leaves one less
    missed = np.clip((count - right[:, None] - drawn) / (count - drawn), 0, None).prod(1)
    return torch.from_numpy(same), float((1 - missed).mean())
