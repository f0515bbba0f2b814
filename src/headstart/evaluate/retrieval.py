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


def recalls(images: Tensor, texts: Tensor, same: Tensor | None = None) -> dict[str, dict[str, float]]:
    """Recall at 1, 5 and 10 both ways: `texts` is the share of pictures whose text is among the k nearest, `images` the
    share of texts whose picture is.

    images, texts: [n, D] of length one, row by row one belongs to the other. same: [n] numbers of texts; equal texts
    are equally right, and the nearest of them counts.
    """
    scores = images @ texts.T  # [n, n]
    number = torch.arange(len(scores), device=scores.device) if same is None else same.to(scores.device)
    right = number[:, None] == number[None]
    return {name: _recall(table, right) for name, table in (("texts", scores), ("images", scores.T))}


def _recall(scores: Tensor, right: Tensor) -> dict[str, float]:
    """Of each row: the best of the right ones is in place 1 + how many wrong ones are above it."""
    best = scores.masked_fill(~right, -torch.inf).amax(1, keepdim=True)
    place = ((scores > best) & ~right).sum(1)
    return {str(k): float((place < k).float().mean()) for k in RANKS}


def retrieved(towers: TwoTowers, sources: Sequence[str], captions: str, compute: Compute) -> dict[str, Any]:
    """Recalls between pictures and the texts of a column, beside what chance finds among the first ten."""
    pairs = read_pairs(sources, captions, Findings())
    said = [str(text) for text in pairs.texts.inputs()]
    _, same = np.unique(said, return_inverse=True)
    seen, texts = image_features(towers, pairs.images, compute), text_features(towers, said, compute)
    share = np.bincount(same)[same] / len(said)  # of texts that are right for a picture
    return {
        **recalls(seen.float(), texts.float(), torch.from_numpy(same)),
        "pairs": len(said), "chance_at_10": float((1 - (1 - share) ** 10).mean()),
    }  # fmt: skip
