"""Losses that still lie on the device: reading one from a GPU waits for the steps before it."""

from __future__ import annotations

import torch
from torch import Tensor


class Diverged(Exception):
    """A loss or gradient that is not finite."""


class Unread:
    """Loss, norm of the gradient and learning rate of the last steps, at most `limit` of them."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._steps: list[tuple[Tensor, Tensor, float]] = []

    def __len__(self) -> int:
        return len(self._steps)

    @property
    def full(self) -> bool:
        return len(self) >= self.limit

    def add(self, loss: Tensor, norm: Tensor, rate: float) -> None:
        self._steps.append((loss, norm, rate))

    def read(self) -> list[tuple[float, float, float]]:
        """Loss, norm and rate of each step in order, which are then forgotten."""
        steps, self._steps = self._steps, []
        if not steps:
            return []
        found = torch.stack([torch.stack([loss, norm]) for loss, norm, _ in steps]).tolist()
        return [(loss, norm, rate) for (loss, norm), (_, _, rate) in zip(found, steps)]


def limit(device: torch.device, watched: bool) -> int:
    """Steps that may stay unread. watched: True if each loss can end the training, so that none may."""
    return 20 if device.type == "cuda" and not watched else 1
