"""k nearest neighbours: a vote of the most similar training examples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from headstart.backbones.backbone import Backbone, Reads
from headstart.core.errors import MethodError
from headstart.methods.method import METHODS, Axis, Method, head_group
from headstart.methods.plan import Plan
from headstart.methods.solver import SolvesItself

if TYPE_CHECKING:
    from headstart.tasks.task import Task


@METHODS.register("knn")
@dataclass(frozen=True)
class NearestNeighbours(Method):
    """`p_c = (votes_c + e) / (k + C e)` of the k neighbours by cosine similarity on frozen features, e = 0.01.

    For regression: the mean of the neighbours' values. The artifact holds the features of the training examples.
    Temperature scaling with T gives `softmax(log p / T)`.
    Source: Fix & Hodges 1951; as a measure of representations, Wu et al. 2018, "Unsupervised Feature Learning via
    Non-Parametric Instance Discrimination".
    """

    summary: ClassVar[str] = "a vote of the nearest training examples, on frozen features"

    neighbours: int = 5
    "number k of neighbours"
    reads: Reads | None = None
    "features that the head reads: top, or all for those of every rung side by side; default: chosen on validation"

    @property
    def head_reads(self) -> Reads:
        return self.reads or "top"

    def head(self, backbone: Backbone, outputs: int, bias: bool) -> nn.Module:
        return NeighboursHead(backbone.width(self.head_reads), outputs, self.neighbours)

    def attach(self, backbone: Backbone, head: nn.Module) -> Plan:
        if self.neighbours < 1:
            raise MethodError(f"knn: neighbours is {self.neighbours}, but has to be at least 1.")
        return Plan(groups=(head_group(backbone, head),), solver=SolvesItself(), reads=self.head_reads)

    def axes(self, backbone: Backbone) -> tuple[Axis, ...]:
        return (Axis("neighbours", values=(1, 3, 5, 10, 20)), Axis("reads", values=("top", "all")))


class NeighboursHead(nn.Module):
    """keys: [n, D] features of the training examples, of length 1; values: [n, outputs] one-hot classes or targets.

    votes: [1] factor of the log shares, 1 / T; 0 for regression.
    """

    SMOOTHING = 0.01
    keys: Tensor
    values: Tensor
    votes: Tensor

    def __init__(self, inputs: int, outputs: int, neighbours: int) -> None:
        super().__init__()
        self.outputs, self.neighbours = outputs, neighbours
        self.register_buffer("keys", torch.zeros(0, inputs))
        self.register_buffer("values", torch.zeros(0, outputs))
        self.register_buffer("votes", torch.zeros(1))

    def solve(self, features: Tensor, targets: Tensor, task: Task) -> None:
        if not (task.exclusive or task.numeric):
            raise MethodError("knn: neighbours vote for one class or a value; for several labels use probe.")
        self.keys = F.normalize(features.float(), dim=1)
        single = task.exclusive
        self.values = F.one_hot(targets, self.outputs).float() if single else targets.float().reshape(-1, 1)
        self.votes = torch.full((1,), float(single), device=features.device)

    def cool(self, t: float) -> None:
        self.votes.div_(t)

    def forward(self, features: Tensor) -> Tensor:
        similarity = F.normalize(features, dim=1) @ self.keys.T  # [B, n]
        k = min(self.neighbours, len(self.keys))
        found = self.values[similarity.topk(k, dim=1).indices].mean(dim=1)  # [B, outputs]
        if not bool(self.votes):
            return found
        e = self.SMOOTHING
        return self.votes * ((k * found + e) / (k + self.outputs * e)).log()
