"""Sparse gradients of embedding tables: gradient, norm and update touch only the rows of the batch's tokens.

A batch of 32 questions reads 300 of a vocabulary's 30,000 rows; with dense gradients the rest is zeroed, squared,
scaled and updated all the same, which on a CPU takes a sixth of the step.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

LARGE = 4096
"least rows of a table with a sparse gradient"


@contextlib.contextmanager
def row_gradients(module: nn.Module, trained: Collection[str]) -> Iterator[None]:
    """Inside the context, the trained large embedding tables of the module get sparse gradients.

    A table whose weight another layer reads too keeps its dense one.
    """
    readers = Counter(id(p) for layer in module.modules() for p in layer.parameters(recurse=False))
    free = {id(p) for name, p in module.named_parameters() if name in trained and readers[id(p)] == 1}
    tables = [
        layer for layer in module.modules()
        if type(layer) is nn.Embedding and layer.num_embeddings >= LARGE and id(layer.weight) in free
        and not layer.sparse
    ]  # fmt: skip
    try:
        for table in tables:
            table.sparse = True
        yield
    finally:
        for table in tables:
            table.sparse = False


class RowAdamW(torch.optim.AdamW):
    """AdamW that moves only the rows that a sparse gradient has (lazy Adam).

    Their moments are those of the steps in which they occurred; they decay when they occur, and all are corrected for
    their start by the number of steps of the whole. A row that never occurs keeps its value to the last bit.
    """

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        assert closure is None
        tables = [
            (group, p, p.grad) for group in self.param_groups for p in group["params"]
            if p.grad is not None and p.grad.is_sparse
        ]  # fmt: skip
        for _, table, _ in tables:
            table.grad = None
        super().step()
        for group, table, gradient in tables:
            self._rows(group, table, gradient.coalesce())

    def _rows(self, group: dict[str, Any], table: Tensor, gradient: Tensor) -> None:
        state = self.state[table]
        if not state:
            state["step"] = torch.zeros(())
            state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(table), torch.zeros_like(table)
        state["step"] += 1
        at, (first, second), rate = float(state["step"]), group["betas"], float(group["lr"])
        rows, new = gradient.indices()[0], gradient.values()
        mean = state["exp_avg"][rows].lerp_(new, 1 - first)
        square = state["exp_avg_sq"][rows].mul_(second).addcmul_(new, new, value=1 - second)
        state["exp_avg"][rows], state["exp_avg_sq"][rows] = mean, square
        size = (square / (1 - second**at)).sqrt_().add_(group["eps"])
        kept = table[rows] * (1 - rate * group["weight_decay"])
        table[rows] = kept.addcdiv_(mean, size, value=-rate / (1 - first**at))


@torch.no_grad()
def clip(parameters: Iterable[nn.Parameter], longest: float) -> Tensor:
    """Scales the gradients down where their common norm is above `longest`, and gives the norm.

    `g <- g min(1, longest / (norm + 1e-6))`, as `torch.nn.utils.clip_grad_norm_`, rows of tables included.
    """
    gradients = []
    for parameter in parameters:
        if parameter.grad is not None:
            if parameter.grad.is_sparse:
                parameter.grad = parameter.grad.coalesce()
                gradients.append(parameter.grad.values())
            else:
                gradients.append(parameter.grad)
    if not gradients:
        return torch.zeros(())
    norm = torch.stack(torch._foreach_norm(gradients)).norm()
    if norm.device.type != "cpu" or not norm <= longest:  # to ask a GPU is to wait for it
        torch._foreach_mul_(gradients, (longest / (norm + 1e-6)).clamp(max=1.0))
    return norm
