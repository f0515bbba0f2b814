"""KV cache: keys and values of tokens that a causal language model has read, as transformers asks for them."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, Protocol

import torch
from torch import Tensor

ARGUMENTS = ("cache", "past_key_values")
"names of the argument by which transformers' networks take a KV cache: the new one and the one before 5.24"


class Store(Protocol):
    """Keys and values of each layer."""

    @property
    def columns(self) -> int:
        """Tokens that each row held before this pass, empty places included."""
        ...

    def update(self, keys: Tensor, values: Tensor, layer: int) -> tuple[Tensor, Tensor]:
        """Takes in [B, H, T, d] of new tokens; returns the keys and values of all, [B, H, columns + T, d]."""
        ...


def cache_of(store: Store, dtype: torch.dtype | None = None) -> Any:
    """A KV cache for transformers that keeps everything in this store, in layers with sliding windows too.

    dtype: number format in which keys and values are kept; None for the one in which they come.
    """
    return _class()(store, dtype)


def tokens_before(arguments: Mapping[str, Any]) -> int:
    """Number of tokens in the KV cache among a network's arguments; 0 without one."""
    found = (arguments.get(name) for name in ARGUMENTS)
    return next((cache.get_seq_length() for cache in found if cache is not None), 0)


@functools.cache
def _class() -> Any:
    from transformers import Cache

    class Kept(Cache):
        """A cache without layers: networks ask it for sizes and for nothing else."""

        def __init__(self, store: Store, dtype: torch.dtype | None) -> None:
            super().__init__(layers=[])
            self.store, self.dtype = store, dtype

        def update(self, key_states: Tensor, value_states: Tensor, layer_idx: int, *_: Any, **__: Any) -> Any:
            return self.store.update(key_states.to(self.dtype), value_states.to(self.dtype), layer_idx)

        def get_seq_length(self, layer_idx: int = 0) -> int:
            return self.store.columns

        def get_mask_sizes(self, query_length: Any, layer_idx: int = 0) -> tuple[int, int]:
            # transformers before 5.4 hands over the places of the queries, not their number
            new = query_length if isinstance(query_length, int) else len(query_length)
            return self.store.columns + new, 0

    return Kept
