"""States of a feed at one cut, ragged, without padding: in a memory-mapped file, or on a GPU that has room for them."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

SHARE = 4
"states are kept in a GPU's memory if they take less than one part in this many of its free memory"


@dataclass
class States:
    """States of one feed at one cut; those of example i are the rows `offsets[i]` to `offsets[i + 1]`."""

    values: Tensor
    offsets: np.ndarray
    shape: tuple[int, ...]
    ragged: bool
    seconds: float = 0.0
    "spent on computing them"
    owner: str = ""
    "the training that spent them"

    def _rows(self, positions: np.ndarray, width: int) -> tuple[Tensor, Tensor]:
        """[B, width] index of each row of these examples, and [B, width] False for padding."""
        first, end = self.offsets[positions, None], self.offsets[positions + 1, None]
        rows = first + np.arange(width)
        real = torch.from_numpy(rows < end)
        return torch.from_numpy(np.minimum(rows, end - 1)).to(self.values.device), real.to(self.values.device)

    def get(self, positions: np.ndarray, width: int) -> Tensor:
        """The states of these examples, padded with zeros to `width` rows."""
        if not self.ragged:
            return self.values[torch.from_numpy(positions)].reshape(len(positions), *self.shape)
        rows, real = self._rows(positions, width)
        found = self.values[rows].masked_fill_(~real[..., None], 0.0)
        return found.reshape(len(positions), width, *self.shape)  # [B, T, …]

    def put(self, positions: np.ndarray, state: Tensor) -> None:
        state = state.detach().to(self.values.device, self.values.dtype)
        if not self.ragged:
            self.values[torch.from_numpy(positions)] = state.reshape(len(positions), -1)
            return
        rows, real = self._rows(positions, state.shape[1])
        self.values[rows[real]] = state[real].reshape(-1, self.values.shape[1])


def room(
    offsets: np.ndarray, shape: tuple[int, ...], ragged: bool, dtype: torch.dtype, device: torch.device, folder: Path
) -> States | None:
    """Room for as many states of this shape as the last offset; None if the folder has none."""
    rows, size = int(offsets[-1]), int(np.prod(shape))
    total = rows * size * dtype.itemsize
    if device.type == "cuda" and total < torch.cuda.mem_get_info(device)[0] // SHARE:
        return States(torch.empty(rows, size, dtype=dtype, device=device), offsets, shape, ragged)
    if (file := _reserved(folder, total)) is None:
        return None
    values = torch.from_file(str(file), shared=True, size=rows * size, dtype=dtype).reshape(-1, size)
    if os.name == "posix":  # a mapped file lives on without its name, and a killed run leaves nothing
        file.unlink()
    return States(values, offsets, shape, ragged)


def _reserved(folder: Path, size: int) -> Path | None:
    """A file with its space reserved, because writing to a mapped file on a full disk ends the process."""
    try:
        handle, name = tempfile.mkstemp(".states", dir=folder)
    except OSError:  # the folder is gone, or has no room for one more file
        return None
    try:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(handle, 0, max(size, 1))
        else:
            os.truncate(handle, size)
    except OSError:
        os.unlink(name)
        return None
    finally:
        os.close(handle)
    return Path(name)
