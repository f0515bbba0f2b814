"""Features of a batch whose loss is of all examples together, in pieces: gradient checkpointing by examples."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from headstart.engine.feed.micro import Micro
from headstart.engine.machine.recompute import run_again

PIECES = 4
"in which a batch of mixed lengths, longest first, goes through the model, so that little of it is padding"


def in_pieces(
    micro: Micro, cost: int, batch_tokens: int, of: Callable[[Micro], Tensor], module: nn.Module, device: torch.device
) -> Tensor:
    """[B, width] of a batch whose members were not chosen for like length, from pieces that are.

    If the batch is more than goes through the model at once, a piece's activations are computed again for its gradient
    instead of kept: the loss is of all pairs whatever the memory.

    cost: tokens of the padded batch. of: features of a piece.
    """
    pieces = micro.pieces * -(-cost // batch_tokens)

    def twice(piece: Micro) -> Tensor:
        features: Tensor = checkpoint(
            of,
            piece,
            use_reentrant=False,
            context_fn=lambda: (contextlib.nullcontext(), run_again(module, device)),
        )
        return features

    parts = micro.cut(max(pieces, PIECES) if "attention_mask" in micro.batch else pieces)
    return torch.cat([of(part) if pieces == 1 else twice(part) for part in parts])
