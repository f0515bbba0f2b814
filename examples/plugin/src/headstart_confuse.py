"""Confuse: a method with a module that trains beside the model and is never saved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from headstart.backbones.backbone import Backbone
from headstart.core.errors import MethodError
from headstart.methods.method import METHODS, GradientMethod, head_group, rung_groups
from headstart.methods.plan import Alongside, Group, Plan
from headstart.methods.term import TRAIN, Outputs, Step, Stream, TaskTerm, Term


@METHODS.register("confuse")
@dataclass(frozen=True)
class Confuse(GradientMethod):
    """A judge learns to tell training texts from other texts, and the backbone learns to confuse it.

    `loss + bce(judge(f), 0) + bce(judge(g), 1)`, f the features of training texts, g of the others; behind a gradient
    reversal, so that the backbone gets the judge's gradient times `-strength min(1, t / rise)`.
    Source: Ganin & Lempitsky 2015, "Unsupervised Domain Adaptation by Backpropagation", section 3.
    """

    summary: ClassVar[str] = "every weight trains; a judge beside it can't tell training texts from others"
    adds: ClassVar[bool] = True

    unlabelled: str = ""
    "file of the other texts, one a line"
    strength: float = 0.1
    "factor of the reversed gradient"
    rise: float = 0.5
    "share of the steps in which the factor rises from 0"

    def attach(self, backbone: Backbone, head: nn.Module) -> Plan:
        if not Path(self.unlabelled).is_file():
            raise MethodError("confuse: name a file of texts, one a line: --set confuse.unlabelled=FILE.")
        lines = Path(self.unlabelled).read_text(encoding="utf-8").splitlines()
        judge = Group("judge", ("beside.judge.weight", "beside.judge.bias"), rung=len(backbone.ladder), scale=10.0)
        return self.plan(
            backbone, (*rung_groups(backbone), head_group(backbone, head), judge),
            terms=(TaskTerm(), Judged(self.strength, self.rise)),
            streams=(Stream("others", tuple(filter(None, lines))),),
            modules=(Alongside("judge", partial(nn.Linear, backbone.dimension, 1)),),
        )  # fmt: skip


class Reversed(torch.autograd.Function):
    """The identity, whose gradient is multiplied by -factor."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, factor: float) -> Tensor:
        ctx.factor = factor
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        return -ctx.factor * gradients[0], None


@dataclass(frozen=True)
class Judged(Term):
    name: ClassVar[str] = "judged"
    streams: ClassVar[tuple[str, ...]] = (TRAIN, "others")
    pulls_at_once: ClassVar[bool] = False  # the reversed gradient rises from 0

    strength: float
    rise: float

    def loss(self, seen: Mapping[str, Outputs], at: Step) -> Tensor:
        judge: Any = at.module.beside["judge"]  # type: ignore[index]
        factor = self.strength * min(1.0, at.fraction / self.rise)
        total = at.targets.new_zeros((), dtype=torch.float32)
        for truth, name in enumerate(self.streams):
            scores = judge(Reversed.apply(seen[name].features, factor))[:, 0]  # [B]
            total = total + F.binary_cross_entropy_with_logits(
                scores, scores.new_full(scores.shape, truth), reduction="sum"
            )
        return total
