"""Merging adapters into the weights of ordinary layers."""

from __future__ import annotations

from torch import nn

from headstart.core.errors import ModelError
from headstart.methods.plan import Beside, take_off


def merge(module: nn.Module) -> int:
    """Replaces, in place, submodules with `merged()` by ordinary layers; returns their number.

    Modules beside a layer are merged into it by `folded(module)`. Raises `ModelError` if that is impossible.
    """
    count = 0
    for name, child in list(module.named_children()):
        if isinstance(child, Beside):
            folded = getattr(child, "folded", None)
            if folded is None:
                raise ModelError(
                    f"what this method adds ({type(child).__name__}) computes something that no ordinary layer does, "
                    "so it can't be merged into the model; serve it with headstart, or train lora."
                )
            folded(module)
            take_off(module, name)
            count += 1
            continue
        merged = getattr(child, "merged", None)
        if callable(merged):
            setattr(module, name, merged())
            count += 1
        else:
            count += merge(child)
    return count
