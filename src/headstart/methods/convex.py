"""Convex heads: solved to convergence on features, not trained by steps.

Not by scikit-learn, because one solver serves every task's loss, a penalty from given weights, heads without bias and
GPUs; both reach the same objective (`benchmarks/cases/libraries.py` times them).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn

from headstart.methods.solver import Given, Solver, exact
from headstart.methods.words import Words

if TYPE_CHECKING:
    from headstart.tasks.task import Task


@dataclass(frozen=True)
class Convex(Solver):
    """A linear head at the minimum of the task's loss. near: the classifier from which the penalty counts."""

    averages: ClassVar[bool] = True

    penalty: float
    "strength of the L2 penalty, on standardised features"
    near: Words | None = None

    def check(self, task: Task) -> None:
        super().check(task)
        if self.near:
            self.near.check(task)

    def solve(self, given: Given) -> tuple[str, ...]:
        near = self.near.weight(given) if self.near else None
        solve(given.features(), given.targets, given.task, self.penalty, given.linear, near)
        return ()


def solve(
    features: Tensor, targets: Tensor, task: Task, penalty: float, head: nn.Linear, near: Tensor | None = None
) -> float:
    """Puts into `head` the minimiser of `(1/n) sum loss + penalty/(2n) ||W||^2` on standardised features.

    features: [n, D]; targets as in `Task.loss`. The standardisation `z = (x - mean) / std` is folded into the head:
    `W x + b = (W_z / std) x + (b_z - W_z mean / std)`. L-BFGS with a strong Wolfe line search until the largest
    gradient, in nearly round coordinates, is below 1e-5; the loss is summed in float64. A head without bias is solved
    on features that are only scaled. near: [C, D] weights on the features themselves, from which the penalty counts
    instead of from zero. Where the features lie on a device without float64, the CPU solves. Returns the objective at
    the solution.
    """
    features, targets = task.known(features, targets)
    where = exact(features.device)
    features, targets, near = features.to(where), targets.to(where), None if near is None else near.to(where)
    x = features.double()  # [n, D]
    mean = x.mean(0) if head.bias is not None else torch.zeros_like(x[0])
    std = (x - mean).square().mean(0).sqrt()
    std = torch.where(std > 1e-6 * std.median(), std, torch.ones_like(std))  # a constant feature says nothing
    z = ((x - mean) / std).float()  # features come from bf16 or fp32 passes: single precision keeps all they hold
    # of fewer examples than features the solution lies in the space that the examples span
    span = torch.linalg.qr(z.T).Q if len(z) < z.shape[1] else None  # [D, n]
    z = z if span is None else z @ span
    n, outputs = len(z), task.outputs
    y = targets.double() if targets.is_floating_point() else targets
    # of a regression's targets the unit is arbitrary: in units of their spread the bounds below mean the same for all
    spread = _spread(y) if task.numeric else 1.0
    y = y / spread if task.numeric else y
    basis = _basis(z, penalty / n)
    inner = torch.zeros(outputs, z.shape[1], dtype=torch.float64, device=z.device, requires_grad=True)
    bias = torch.zeros(outputs, dtype=torch.float64, device=z.device, requires_grad=True)
    if task.numeric:
        bias.data[:] = y.mean()
    parameters = [inner, bias] if head.bias is not None else [inner]
    optimizer = torch.optim.LBFGS(
        parameters, max_iter=1000, tolerance_grad=1e-5, tolerance_change=1e-12, history_size=20,
        line_search_fn="strong_wolfe",
    )  # fmt: skip
    shift = bias if head.bias is not None else torch.zeros_like(bias)
    given = torch.zeros(n, outputs, dtype=torch.float64, device=z.device)
    if near is not None:
        given = x @ near.double().T / spread

    def objective() -> Tensor:
        optimizer.zero_grad()
        weight = inner.float() @ basis
        scores = (z @ weight.T).double() + shift + given
        loss = task.loss(scores, y) / n + penalty / (2 * n) * weight.double().square().sum()
        loss.backward()
        return loss

    optimizer.step(objective)
    value = float(objective().detach()) * spread**2
    with torch.no_grad():
        solution = inner @ basis.double()
        scaled = spread * ((solution if span is None else solution @ span.double().T) / std)
        head.weight.copy_(scaled)
        if head.bias is not None:
            head.bias.copy_(spread * bias - scaled @ mean)
        if near is not None:
            head.weight.add_(near.to(head.weight))
    return value


def _spread(values: Tensor) -> float:
    """Their standard deviation, or 1 where all are the same."""
    return float((values - values.mean()).square().mean().sqrt()) or 1.0


def _basis(z: Tensor, ridge: float) -> Tensor:
    """A matrix P [D, D] such that the weights `V P` make the objective nearly round in V.

    The curvature is about `0.1 z'z/n + ridge I = L L'`; in V = W L it is the identity, so P is the inverse of L, and
    tens of iterations do where correlated features would need a thousand. Above 4,096 features its cost would be felt.
    """
    n, size = z.shape
    if size > 4096:
        return torch.eye(size, device=z.device)
    curvature = (z.T @ z).double() / (10 * n)
    curvature.diagonal().add_(max(ridge, 1e-6))
    lower = torch.linalg.cholesky(curvature)
    unit = torch.eye(size, dtype=torch.float64, device=z.device)
    return torch.linalg.solve_triangular(lower, unit, upper=False).float()
