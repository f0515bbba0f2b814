"""The loss of pairs within a batch."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def contrastive_loss(features: Tensor, targets: Tensor) -> Tensor:
    """`1/2 mean_same (1 - cos)^2 + 1/2 mean_different cos^2` over all pairs i < j; a scalar.

    features: [B, D]; targets: [B] classes. A side without pairs, as in a batch of one class, counts
    as 0.
    """
    unit = F.normalize(features, dim=1)
    rows, columns = torch.triu_indices(len(unit), len(unit), offset=1, device=unit.device)
    cosine = (unit @ unit.T)[rows, columns]  # [pairs]
    same = targets[rows] == targets[columns]
    zero = features.sum() * 0.0
    near = (1 - cosine[same]).square().mean() if bool(same.any()) else zero
    far = cosine[~same].square().mean() if not bool(same.all()) else zero
    return 0.5 * (near + far)
