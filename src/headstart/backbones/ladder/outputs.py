"""Sizes of the outputs of modules, observed in one run."""

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
    "True for [B, C, H, W]; in other outputs, including [B, H, W, C], features come last"


def outputs_of(backbone: Backbone, paths: Sequence[str]) -> dict[str, Output]:
    """Outputs by path, for modules that run once and return a tensor. Restores modes and hooks."""
    found: dict[str, Output] = {}
    again: set[str] = set()  # left out, because a module called several times has no single output
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
