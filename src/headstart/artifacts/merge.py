"""Merging: what a method added beside layers becomes part of ordinary layers."""

from __future__ import annotations

from torch import nn


def merge(module: nn.Module) -> int:
    """Replaces, in place, every submodule that can say what it is `merged()`; returns how many there were."""
    count = 0
    for name, child in list(module.named_children()):
        merged = getattr(child, "merged", None)
        if callable(merged):
            setattr(module, name, merged())
            count += 1
        else:
            count += merge(child)
    return count
