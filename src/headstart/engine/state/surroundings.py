"""Surroundings that a training restores beside the weights: random generators, device, memory layout."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator

import numpy as np
import torch
from torch import nn

from headstart.backbones.backbone import Backbone
from headstart.engine.machine.precision import Compute


@contextlib.contextmanager
def own_generators() -> Iterator[None]:
    """On exit the global generators of Python, NumPy and PyTorch (all GPUs) have the state from before."""
    python, numpy = random.getstate(), np.random.get_state()
    gpus = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    try:
        with torch.random.fork_rng(devices=list(gpus)):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)


def put(backbone: Backbone, compute: Compute) -> contextlib.ExitStack:
    """Moves the backbone to the device, networks for images with channels last; closing it moves it back.

    A CPU runs convolutions twice as fast if channels are last in memory.
    """
    module, back = backbone.module, contextlib.ExitStack()
    strides = {name: p.stride() for name, p in module.named_parameters()}
    back.callback(_as_it_was, module, next(module.parameters()).device, strides)
    module.to(compute.device)
    if backbone.reads_images:
        module.to(memory_format=torch.channels_last)
    return back


def _as_it_was(module: nn.Module, device: torch.device, strides: dict[str, tuple[int, ...]]) -> None:
    module.to(device)
    for name, p in module.named_parameters():
        if p.stride() != strides.get(name, p.stride()):
            p.data = torch.empty_strided(p.shape, strides[name], dtype=p.dtype, device=device).copy_(p.data)
