"""Products in float32 with weights that are kept in bf16, for exact checks of a model with rounded frozen weights."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

PRODUCTS = (F.linear, torch.addmm)
"by which layers use their weights"


class Widened(TorchFunctionMode):
    """Inside this context and outside of autocast, what goes into a product in bf16 goes in in float32."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function in PRODUCTS:
            args = tuple(map(_wide, args))
            kwargs = {name: _wide(value) for name, value in (kwargs or {}).items()}
        return function(*args, **(kwargs or {}))


def _wide(value: Any) -> Any:
    return value.float() if isinstance(value, Tensor) and value.dtype == torch.bfloat16 else value
