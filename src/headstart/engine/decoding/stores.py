"""Where keys and values are kept: of texts that begin alike, and of rows that join and leave."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from headstart.backbones.kept import Store

Pair = tuple[Tensor, Tensor]
"keys and values of a layer, [B, H, T, d] each"
SPARE = 64
"free columns in new buffers, so that rows are moved once in this many steps"


class Growing(Store, Protocol):
    def settle(self) -> None:
        """Counts the tokens that the last pass has put in."""
        ...


class Branch:
    """Shared tokens are held once, [1, H, P, d], and those of each row beside them, [B, H, T, d].

    A row's tokens begin right after the shared ones, so that empty places only follow them.
    """

    def __init__(self, shared: Sequence[Pair] = (), own: Sequence[Pair] = ()) -> None:
        self.shared, self.own = list(shared), list(own)
        self.before = shared[0][0].shape[-2] if shared else 0
        self.columns = self.before + (own[0][0].shape[-2] if own else 0)

    def update(self, keys: Tensor, values: Tensor, layer: int) -> Pair:
        if layer < len(self.own):
            old = self.own[layer]
            keys, values = torch.cat([old[0], keys], -2), torch.cat([old[1], values], -2)
            self.own[layer] = keys, values
        else:
            self.own.append((keys, values))
        if not self.shared:
            return keys, values
        first, second = (part.expand(len(keys), -1, -1, -1) for part in self.shared[layer])
        return torch.cat([first, keys], -2), torch.cat([second, values], -2)  # [B, H, P + T, d]

    def settle(self) -> None:
        self.columns = self.before + self.own[0][0].shape[-2]

    def forked(self) -> Branch:
        """An empty branch after this one, which has a single row."""
        return Branch([self._whole(layer) for layer in range(len(self.own))])

    def taken(self, rows: Sequence[int], columns: int) -> Branch:
        """A copy of these rows, cut to this number of columns; a row may come several times."""
        index = torch.tensor(rows, device=self.own[0][0].device)
        until = columns - self.before
        return Branch(self.shared, [(k[index, :, :until], v[index, :, :until]) for k, v in self.own])

    def row(self, row: int, columns: int) -> list[Pair]:
        """[H, columns, d] of each layer: the shared tokens and this row's."""
        pairs = [self._whole(layer, row) for layer in range(len(self.own))]
        return [(keys[0, :, :columns], values[0, :, :columns]) for keys, values in pairs]

    def _whole(self, layer: int, row: int = 0) -> Pair:
        keys, values = (part[row : row + 1] for part in self.own[layer])
        if not self.shared:
            return keys, values
        first, second = self.shared[layer]
        return torch.cat([first, keys], -2), torch.cat([second, values], -2)


class Rows:
    """Rows that join and leave between steps: the tokens of all end at the same column, empty places precede them.

    So the distance of two tokens of a row is that of their columns, as sliding windows need it. Buffers have some free
    columns after the last one; when these are used up, all rows move to the first columns of new buffers.
    """

    def __init__(self) -> None:
        self.lengths: list[int] = []
        self.buffers: list[Pair] = []  # of each layer, [R, H, C, d]
        self.end = 0

    @property
    def columns(self) -> int:
        return max(self.lengths, default=0)

    @property
    def held(self) -> int:
        """Number of tokens for which memory is held."""
        return self.buffers[0][0].shape[0] * self.buffers[0][0].shape[2] if self.buffers else 0

    def mask(self) -> Tensor | None:
        """[B, columns + 1] for the next step: 0 for empty places; None if there are none."""
        if len(set(self.lengths)) < 2:
            return None
        device = self.buffers[0][0].device
        empty = self.columns - torch.tensor(self.lengths, device=device)  # [B]
        return (torch.arange(self.columns + 1, device=device) >= empty[:, None]).long()

    def update(self, keys: Tensor, values: Tensor, layer: int) -> Pair:
        """Takes in one token of each row."""
        held = self.buffers[layer]
        for buffer, new in zip(held, (keys, values)):
            buffer[: len(new), :, self.end] = new[:, :, 0]
        seen = slice(self.end - self.columns, self.end + 1)
        first, second = (buffer[: len(keys), :, seen] for buffer in held)
        return first, second

    def settle(self) -> None:
        self.end += 1
        self.lengths = [length + 1 for length in self.lengths]

    def reserve(self, like: Sequence[Pair], rows: int, longest: int, most: int) -> None:
        """Sees to places for so many more rows of at most `longest` tokens.

        like: keys and values [B, H, T, d] of each layer, for their shape. most: columns that no row will exceed.
        """
        if not self.buffers:
            self.buffers = [
                (k.new_zeros(0, k.shape[1], 0, k.shape[3]), v.new_zeros(0, v.shape[1], 0, v.shape[3])) for k, v in like
            ]
        if len(self.lengths) + rows > len(self.buffers[0][0]) or longest > self.end:
            self._move(len(self.lengths) + rows, max(self.columns, longest), most)

    def join(self, pairs: Sequence[Pair]) -> None:
        """Takes in a row for which there is a place: its keys and values [H, T, d] of each layer."""
        for held, new in zip(self.buffers, pairs):
            for buffer, part in zip(held, new):
                buffer[len(self.lengths), :, self.end - part.shape[-2] : self.end] = part
        self.lengths.append(pairs[0][0].shape[-2])

    def room(self, most: int) -> None:
        """Sees to a free column for the next step."""
        if self.end == self.buffers[0][0].shape[2]:
            self._move(len(self.lengths), self.columns, most)

    def leave(self, row: int) -> None:
        """Frees a row's place; the last row moves there."""
        length = self.lengths.pop()
        if row < len(self.lengths):
            self.lengths[row] = length
            for held in self.buffers:
                for buffer in held:
                    own = buffer[len(self.lengths), :, self.end - length : self.end]
                    buffer[row, :, self.end - length : self.end] = own
        if not self.lengths:
            self.buffers, self.end = [], 0

    def _move(self, rows: int, end: int, most: int) -> None:
        """Moves all to buffers of this many rows, where they end at column `end`; a layer at a time, for its memory."""
        size, n, width = min(max(most, end + 1), end + SPARE), len(self.lengths), self.columns
        for layer, held in enumerate(self.buffers):
            # zeros, because what stands in empty places is multiplied by a weight of 0
            moved = [old.new_zeros(rows, old.shape[1], size, old.shape[3]) for old in held]
            for new, old in zip(moved, held):
                new[:n, :, end - width : end] = old[:n, :, self.end - width : self.end]
            self.buffers[layer] = moved[0], moved[1]
        self.end = end
