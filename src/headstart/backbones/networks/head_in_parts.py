"""Cross-entropy over a large vocabulary in parts (chunked loss), so that scores stay in the processor's cache.

The scores of 8,192 tokens over 11,520 words are 380 MB in float32, and a step writes and reads them about ten times.
Here the scores of a few rows at a time become their part of the loss and its gradient, and are freed. The gradients are
in the precision of the matrix products; for a head that trains those of more rows are held at once.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

ROWS = 128
"tokens whose scores are made together: 6 MB over 11,520 words"
HELD = 1 << 27
"scores whose gradients are held at once for a head that trains: half a gigabyte in float32"

Loss = Callable[[Tensor, Tensor], Tensor]
"sum of the loss over rows: scores [n, V] and targets [n] to a number"


@contextlib.contextmanager
def without_head(head: nn.Linear) -> Iterator[None]:
    """Inside the context the head is the identity, so that the network's scores are the hidden states before it."""
    head.forward = lambda hidden: hidden  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        del head.forward


def head_of(network: Any, inputs: dict[str, Tensor]) -> nn.Linear | None:
    """The last linear layer of a transformers network; None if its scores are not that layer's output alone."""
    head = network.get_output_embeddings()
    if type(head) is not nn.Linear or head._forward_hooks or head._forward_pre_hooks:
        return None
    was = network.training
    network.eval()
    try:
        with torch.no_grad():
            scores = network(**inputs)[0]
            with without_head(head):
                hidden = network(**inputs)[0]
            same = hidden.shape[-1] == head.in_features and torch.allclose(head(hidden), scores, rtol=1e-3, atol=1e-4)
    finally:
        network.train(was)
    return head if same else None


def summed(head: nn.Linear, hidden: Tensor, targets: Tensor, loss: Loss) -> Tensor:
    """`loss(head(hidden), targets)`, with gradients to the hidden states and the head's weights.

    hidden: [N, D]; targets: [N]. loss: adds up over rows.
    """
    total: Tensor = _InParts.apply(hidden, head.weight, head.bias, targets, loss, torch.is_grad_enabled())
    return total


class _InParts(torch.autograd.Function):
    """Computes the gradients in the forward pass, while the scores exist."""

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor, loss: Loss, wanted: bool
    ) -> Tensor:
        """wanted: True if gradients are needed; autograd functions can't ask."""
        trains = wanted and ctx.needs_input_grad[1]
        kind, learns = hidden.dtype, trains or (wanted and ctx.needs_input_grad[0])
        weights, offset = weight.to(kind), None if bias is None else bias.to(kind)
        to_hidden = torch.empty_like(hidden) if learns else None
        to_weight = torch.zeros_like(weights) if trains else None
        to_bias = weights.new_zeros(len(weights), dtype=torch.float32) if trains and bias is not None else None
        total = torch.zeros((), device=hidden.device)
        # many rows at once for a head that trains, because one large product is faster than many small ones
        block = max(ROWS, HELD // len(weights)) if trains else ROWS
        for start in range(0, len(hidden), block):
            some, truths = hidden[start : start + block], targets[start : start + block]
            slopes = some.new_empty(len(some) if learns else 0, len(weights))  # [n, V]
            for at in range(0, len(some), ROWS):
                rows = slice(at, at + ROWS)
                scores = nn.functional.linear(some[rows], weights, offset).requires_grad_(learns)
                with torch.set_grad_enabled(learns):
                    part = loss(scores, truths[rows])
                total += part.detach()
                if learns:
                    slopes[rows] = torch.autograd.grad(part, scores)[0]
            if to_hidden is not None:
                to_hidden[start : start + block] = slopes @ weights
            if to_weight is not None:
                to_weight += slopes.T @ some
            if to_bias is not None:
                to_bias += slopes.sum(0, dtype=torch.float32)
        if learns:
            ctx.save_for_backward(to_hidden, to_weight, to_bias)
        return total

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> Any:
        to_hidden, to_weight, to_bias = ctx.saved_tensors
        slope = slopes[0]
        to_weight = None if to_weight is None else to_weight.float() * slope
        to_bias = None if to_bias is None else to_bias * slope
        return to_hidden * slope, to_weight, to_bias, None, None, None
