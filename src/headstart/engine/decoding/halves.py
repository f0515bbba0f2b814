"""bf16 copies of weights, made once: under autocast each product would convert its weights again, at every token."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

PLACES: dict[Any, int] = {F.linear: 1, torch.addmm: 2}
"products by which layers use their weights, and the place of the weight among the arguments"


class Halves(TorchFunctionMode):
    """Inside this context and without gradients, products take their weights from the copies, with the same results.

    The copies need half as much memory as the weights, and follow weights that are changed in place.
    """

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[int, tuple[nn.Parameter, int, Tensor]] = {}

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        place = PLACES.get(function)
        if place is not None and len(args) > place and _fits(args[place]):
            args = (*args[:place], self._half(args[place]), *args[place + 1 :])
        return function(*args, **(kwargs or {}))

    def _half(self, weight: nn.Parameter) -> Tensor:
        found = self.kept.get(id(weight))
        if found is None or found[1] != weight._version:
            # with the weight itself, so that no other one gets its id
            found = self.kept[id(weight)] = weight, weight._version, weight.detach().to(torch.bfloat16)
        return found[2]


def _fits(weight: Any) -> bool:
    return isinstance(weight, nn.Parameter) and weight.dtype == torch.float32
