"""Keys and values of a batch that begins with shared tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from headstart.backbones.kept import Store

Pair = tuple[Tensor, Tensor]
"keys and values of a layer, [B, H, T, d] each"


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
