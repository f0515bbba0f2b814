"""Fast dropout on a CPU, because PyTorch draws its mask one element at a time, a third of a training step."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode


def fast_dropout(device: torch.device) -> contextlib.AbstractContextManager[object]:
    """`FastDropout` on a CPU; PyTorch's own elsewhere, where it is fast."""
    return FastDropout() if device.type == "cpu" else contextlib.nullcontext()


class FastDropout(TorchFunctionMode):
    """While active, `F.dropout` on CPU tensors takes its mask from random bytes.

    An element is dropped with probability round(256 p) / 256, which is p to 1/512, and scaled by the inverse of the
    kept share: the expectation is exact in fp32, in bf16 to the 0.4 % of its rounding of the scale. Follows
    `torch.manual_seed` like PyTorch's own.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Iterable[type], args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # fmt: skip
        if func is F.dropout:
            return _dropout(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


def _dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    if not training or p == 0:
        return input
    dropped = round(256 * p)
    if input.device.type != "cpu" or not 0 < dropped < 256 or inplace:
        return torch.dropout(input, p, True)
    words = torch.empty(-(-input.numel() // 8), dtype=torch.int64).random_(-(2**63), None)
    kept = words.view(torch.uint8)[: input.numel()].view(input.shape) >= dropped
    return input * (kept * (256 / (256 - dropped))).to(input.dtype)
