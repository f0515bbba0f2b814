"""Cross-entropy over a large vocabulary in parts (chunked loss), so that scores stay in the processor's cache.

The scores of 8,192 tokens over 11,520 words are 380 MB in float32, and a step writes and reads them about ten times.
Here the scores of a few rows at a time become their part of the loss and its gradient, and are freed. Of a head that
trains the gradients are kept, in the precision of the matrix products; of a frozen one only what the hidden states get.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

ROWS = 128
"tokens whose scores are made together: 6 MB over 11,520 words"

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
        slopes = hidden.new_empty(len(hidden) if trains else 0, len(weight))  # [N, V]
        to_hidden = torch.empty_like(hidden) if learns and not trains else None
        total = torch.zeros((), device=hidden.device)
        for at in range(0, len(hidden), ROWS):
            rows = slice(at, at + ROWS)
            scores = nn.functional.linear(hidden[rows], weights, offset).requires_grad_(learns)  # [n, V]
            with torch.set_grad_enabled(learns):
                part = loss(scores, targets[rows])
            total += part.detach()
            if learns:
                slope = torch.autograd.grad(part, scores)[0]
                if to_hidden is None:
                    slopes[rows] = slope
                else:
                    to_hidden[rows] = slope @ weights
        if learns:
            # of all rows at once where the head trains, because one large product is faster than many small ones
            to_weight = slopes.T @ hidden if trains else None
            to_bias = slopes.sum(0, dtype=torch.float32) if trains and bias is not None else None
            ctx.save_for_backward(slopes @ weights if to_hidden is None else to_hidden, to_weight, to_bias)
        return total

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> Any:
        to_hidden, to_weight, to_bias = ctx.saved_tensors
        slope = slopes[0]
        to_weight = None if to_weight is None else to_weight.float() * slope
        to_bias = None if to_bias is None else to_bias * slope
        return to_hidden * slope, to_weight, to_bias, None, None, None
