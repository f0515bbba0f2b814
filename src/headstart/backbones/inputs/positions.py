"""Positions of a text model: the number of the first one, and their limit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import nn

from headstart.core.errors import MethodError


@dataclass(frozen=True)
class Positions:
    """first: position of the first token. limit: number of positions; None if unlimited."""

    first: int
    limit: int | None

    @property
    def readable(self) -> int | None:
        """Maximum number of tokens of a text."""
        return None if self.limit is None else self.limit - self.first

    def check(self, method: str, virtual: int, tokens: int) -> None:
        """Raises `MethodError` if the virtual tokens and the text together exceed the positions."""
        if self.readable is not None and virtual + tokens > self.readable:
            raise MethodError(
                f"{method}: a text of {tokens} tokens with {virtual} virtual ones before it is more than the "
                f"{self.readable} that this model can read; choose --max-length {self.readable - virtual} or fewer "
                "virtual tokens."
            )


def positions(module: nn.Module) -> Positions:
    """Positions of a model; RoBERTa and others start after the rows that are reserved for padding."""
    limit: Any = getattr(getattr(module, "config", None), "max_position_embeddings", None)
    for name, child in module.named_modules():
        if "position" in name.rpartition(".")[2] and isinstance(child, nn.Embedding):
            return Positions(0 if child.padding_idx is None else child.padding_idx + 1, limit)
    return Positions(0, limit)
