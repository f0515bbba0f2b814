"""Merging adapters into the weights of ordinary layers."""

from __future__ import annotations

from torch import nn

from headstart.core.errors import ModelError
from headstart.methods.slots import Beside, bare


def merge(module: nn.Module) -> int:
    """Merges, in place, what stands beside layers into them by `folded(layer)`; returns the number of parts.

    Raises `ModelError` if that is impossible.
    """
    count = 0
    for name, child in list(module.named_children()):
        if not isinstance(child, Beside):
            count += merge(child)
            continue
        folded = getattr(child, "folded", None)
        if folded is None:
            raise ModelError(
                f"what this method adds ({type(child).__name__}) computes something that no ordinary layer does, "
                "so it can't be merged into the model; serve it with headstart, or train lora."
            )
        folded(module)
        delattr(module, name)
        bare(module)
        count += 1
    return count
