"""Batches made by worker processes (PyTorch's DataLoader)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from torch.utils.data import DataLoader, Dataset

from headstart.backbones.backbone import Batch

Make = Callable[[np.ndarray, "int | None"], Batch]
"makes the batch of these positions, in this augmented view"


def in_processes(make: Make, positions: Sequence[np.ndarray], view: int | None, workers: int) -> Iterator[Batch]:
    """The batches in order, made ahead by so many processes."""
    dataset = _Batches(make, positions, view)
    loader: Any = DataLoader(dataset, batch_size=None, shuffle=False, num_workers=workers)
    return iter(loader)


class _Batches(Dataset[Batch]):
    def __init__(self, make: Make, positions: Sequence[np.ndarray], view: int | None) -> None:
        self.make, self.positions, self.view = make, positions, view

    def __len__(self) -> int:
        return len(self.positions)

    def __getitem__(self, index: int) -> Batch:
        return self.make(self.positions[index], self.view)
