"""Retrieval between pictures and texts: how often what belongs together is found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from headstart.backbones.two_towers import TwoTowers
from headstart.data.findings import Findings
from headstart.data.pairs import read_pairs
from headstart.engine.precision import Compute
from headstart.evaluate.zeroshot import image_features, text_features

RANKS = (1, 5, 10)
ROWS = 1024
"that are scored against all others at once"


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
    share = np.bincount(same)[same] / len(same)  # of texts that are right for a picture
    return torch.from_numpy(same), float((1 - (1 - share) ** 10).mean())


def retrieved(towers: TwoTowers, sources: Sequence[str], captions: str, compute: Compute) -> dict[str, Any]:
    """Recalls between pictures and the texts of a column, beside what chance finds among the first ten."""
    pairs = read_pairs(sources, captions, Findings())
    said = [str(text) for text in pairs.texts.inputs()]
    same, chance = told_apart(said)
    seen, texts = image_features(towers, pairs.images, compute), text_features(towers, said, compute)
    return {**recalls(seen.float(), texts.float(), same), "pairs": len(said), "chance_at_10": chance}
