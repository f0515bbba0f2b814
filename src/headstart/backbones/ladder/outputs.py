"""Outputs: the size of what modules give back, seen in one run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from headstart.backbones.backbone import Backbone
from headstart.backbones.inputs.pictures import channels_last
from headstart.backbones.ladder.modes import evaluating
from headstart.backbones.ladder.observation import tensors


@dataclass(frozen=True)
class Output:
    """The first tensor that a module returns."""

    size: int
    "features or channels"
    dims: int
    channels_first: bool
    "whether it is a picture [B, C, H, W]; features come last in everything else, [B, H, W, C] included"


def outputs_of(backbone: Backbone, paths: Sequence[str]) -> dict[str, Output]:
    """Path to output for the modules that run once and return a tensor. Leaves modes and hooks as they were."""
    found: dict[str, Output] = {}
    again: set[str] = set()  # a pooling that serves several layers stands for none of them
    module, sample = backbone.module, backbone.probes()[0]

    def note(path: str, output: Any) -> None:
        first = next(tensors(output), None)
        if path in found:
            again.add(path)
        if first is None or path in found or first.dim() < 2:
            return
        last = first.dim() != 4 or channels_last(first.shape, sample)
        found[path] = Output(first.shape[-1 if last else 1], first.dim(), not last)

    hooks = [
        module.get_submodule(path).register_forward_hook(lambda m, args, out, path=path: note(path, out))  # type: ignore[misc]
        for path in paths
    ]
    try:
        with torch.no_grad(), evaluating(module):
            backbone.features(sample)
    finally:
        for hook in hooks:
            hook.remove()
    return {path: output for path, output in found.items() if path not in again}
