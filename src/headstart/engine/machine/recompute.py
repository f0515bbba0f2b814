"""Gradient checkpointing: activations are computed again for the backward pass, because memory is short."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from headstart.backbones.ladder.ladder import Ladder
from headstart.engine.machine.dropout import fast_dropout


@contextlib.contextmanager
def recomputing(module: nn.Module, ladder: Ladder, device: torch.device) -> Iterator[None]:
    """Inside the context only each rung's input is kept; the rung runs again when its gradient is due.

    The gradient is the same, dropout included, for a third more time. Source: Chen et al. 2016, "Training Deep Nets
    with Sublinear Memory Cost", section 4.
    """
    there = dict(module.named_modules())  # a plan may have left some out
    rungs = [there[path] for rung in ladder.rungs for path in rung.modules if path in there]
    before = [rung.__dict__.get("forward") for rung in rungs]  # of the instance: an adapter's slot
    for rung in rungs:
        rung.forward = _twice(rung, device)
    try:
        yield
    finally:
        for rung, forward in zip(rungs, before):
            del rung.forward
            if forward is not None:
                rung.forward = forward


def _twice(rung: nn.Module, device: torch.device) -> Callable[..., Any]:
    forward = rung.forward

    def run(*args: Any, **kwargs: Any) -> Any:
        if not torch.is_grad_enabled():
            return forward(*args, **kwargs)
        return checkpoint(
            forward, *args, use_reentrant=False,
            context_fn=lambda: (contextlib.nullcontext(), run_again(rung, device)), **kwargs,
        )  # fmt: skip

    return run


@contextlib.contextmanager
def run_again(rung: nn.Module, device: torch.device) -> Iterator[None]:
    """Context of the second run: fast dropout as in the first, and batch norms don't count the batch again."""
    norms = [m for m in rung.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    before = [(norm.momentum, norm.num_batches_tracked) for norm in norms]
    for norm in norms:
        norm.momentum, norm.num_batches_tracked = 0.0, None
    try:
        with fast_dropout(device):
            yield
    finally:
        for norm, (momentum, seen) in zip(norms, before):
            norm.momentum, norm.num_batches_tracked = momentum, seen
