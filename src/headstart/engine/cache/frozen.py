"""Frozen weights in bf16, because autocast would round them again in every step."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from headstart.backbones.ladder.attention import fused_forward
from headstart.engine.machine.precision import Compute

ROUNDED = (nn.Linear, nn.Conv1d, nn.Conv2d)
"layers whose weights and biases autocast rounds before it uses them"


@contextlib.contextmanager
def frozen_rounded(module: nn.Module, trained: Collection[str], compute: Compute) -> Iterator[None]:
    """Inside the context, weights of linear layers and convolutions that are not `trained` are bf16.

    Autocast gives these layers the same values, so no bit of a result changes. On a GPU the fp32 originals wait in
    the host's memory; a CPU holds both. A weight that another kind of layer shares (a tied embedding), or that a part
    beside its layer reads (`reads_weights`: DoRA's norms), stays as it is.
    """
    if not compute.bf16:
        yield
        return
    read = {
        id(inner)
        for layer in module.modules()
        if any(getattr(part, "reads_weights", False) for part in layer.children())
        for inner in layer.modules()
    }
    others = [layer for layer in module.modules() if not _rounds(layer) or id(layer) in read]
    shared = {id(parameter) for layer in others for parameter in layer.parameters(recurse=False)}
    kept: list[tuple[nn.Parameter, Tensor]] = []
    try:
        for name, parameter in module.named_parameters():
            if name not in trained and id(parameter) not in shared and parameter.dtype == torch.float32:
                kept.append((parameter, parameter.data if compute.device.type == "cpu" else parameter.data.cpu()))
                parameter.data = parameter.data.to(compute.dtype)
        yield
    finally:
        for parameter, original in kept:
            parameter.data = original.to(compute.device)


@contextlib.contextmanager
def forward_alone(module: nn.Module, compute: Compute) -> Iterator[None]:
    """Inside the context nothing trains: all weights are rounded, and attention is the fastest without gradients."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(frozen_rounded(module, (), compute))
        if compute.bf16 and compute.device.type == "cpu":
            stack.enter_context(fused_forward(module))
        yield


def _rounds(layer: Any) -> bool:
    return type(layer) in ROUNDED or hasattr(layer, "nf")  # transformers' Conv1D
