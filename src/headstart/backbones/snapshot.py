"""Snapshot: copies of weights that a training will change, small ones in memory and large ones in a file."""

from __future__ import annotations

import contextlib
import math
import tempfile
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

MEMORY_BYTES = 32 << 20
"size above which copies go into a file: full fine-tuning holds weights, gradients and two moments already"

PIECE_BYTES = 1 << 20
"size of the pieces in which a file is copied"


class Snapshot(Mapping[str, Tensor]):
    """Copies of named tensors, read from the file when they are asked for.

    The file is in TMPDIR and has no name, so that a killed process leaves nothing. If the disk has no room, the copies
    stay in memory. brief: True for copies that are restored at once, which stay in memory too.
    """

    def __init__(self, tensors: Mapping[str, Tensor], brief: bool = False) -> None:
        self._places: dict[str, int] = {}
        self.like = {name: (value.dtype, value.shape) for name, value in tensors.items()}
        self._size = 0
        for name, value in tensors.items():
            self._places[name] = self._size
            self._size += value.nbytes
        self._memory: dict[str, Tensor] = {}
        self._file: Any = None
        if self._size > MEMORY_BYTES and not brief:
            with contextlib.suppress(OSError):
                self._file = tempfile.TemporaryFile(prefix="headstart-")  # noqa: SIM115 - open as long as the snapshot
        self.renew(tensors)

    def renew(self, tensors: Mapping[str, Tensor]) -> None:
        """Overwrites the copies with these tensors of the same names, types and shapes."""
        if self._file is not None:
            try:
                self._write(tensors)
                return
            except OSError:
                self._file = None
        for name in self._places:
            if name in self._memory:
                self._memory[name].copy_(tensors[name])
            else:
                value = tensors[name].detach()
                self._memory[name] = value.clone() if value.device.type == "cpu" else value.cpu()

    def _write(self, tensors: Mapping[str, Tensor]) -> None:
        for name, place in self._places.items():
            self._file.seek(place)
            self._file.write(bytes_of(tensors[name]))
        self._file.flush()

    def put_back(self, targets: Mapping[str, Tensor]) -> None:
        """Copies the values into the tensors of the same names, one after the other.

        A file is read straight into the tensor's memory, because a copy of an embedding table between them would add
        half the weights of a small model to the peak of its training.
        """
        with torch.no_grad():
            for name, value in targets.items():
                if name not in self._places:
                    continue
                if self._file is not None and value.device.type == "cpu" and value.is_contiguous():
                    self._read(name, value)
                else:
                    value.copy_(self[name])

    def __getitem__(self, name: str) -> Tensor:
        if self._file is None:
            return self._memory[name]
        dtype, shape = self.like[name]
        found = torch.empty(shape, dtype=dtype)
        self._read(name, found)
        return found

    def _read(self, name: str, into: Tensor) -> None:
        """Reads a copy from the file. into: contiguous, on the CPU, of the same type and shape"""
        self._file.seek(self._places[name])
        self._file.readinto(bytes_of(into))

    def parts(self, name: str) -> Iterator[Any]:
        """The bytes of a copy, a piece at a time."""
        if self._file is None:
            yield bytes_of(self._memory[name])
            return
        dtype, shape = self.like[name]
        left = math.prod(shape) * dtype.itemsize
        self._file.seek(self._places[name])
        while left > 0:
            part = self._file.read(min(left, PIECE_BYTES))
            left -= len(part)
            yield part

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


def bytes_of(value: Tensor) -> memoryview:
    """Its bytes in order: the tensor's memory if it is contiguous on the CPU, else a copy."""
    return value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data
