"""L2-SP: weight decay towards the base instead of towards zero."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from headstart.backbones.backbone import Backbone
from headstart.methods.method import METHODS, Axis, GradientMethod, head_group, rung_groups
from headstart.methods.plan import Plan
from headstart.methods.term import Beginning, Outputs, Step, TaskTerm, Term


@METHODS.register("l2sp")
@dataclass(frozen=True)
class L2Sp(GradientMethod):
    """`loss + alpha/2 ||w - w_0||^2 + beta/2 ||v||^2`: backbone weights w pulled to the base's w_0, the head v to zero.

    Source: Li, Grandvalet & Davoine 2018, "Explicit Inductive Bias for Transfer Learning with Convolutional Networks",
    section 3.
    """

    summary: ClassVar[str] = "every weight trains, pulled towards the base"
    adds: ClassVar[bool] = True

    alpha: float = 0.01
    "L2 penalty on the distance of the backbone from the base"
    beta: float = 0.01
    "L2 penalty on the head"
    weight_decay: float = 0.0
    "decoupled weight decay of AdamW; 0, because it would also pull towards zero"

    def attach(self, backbone: Backbone, head: nn.Module) -> Plan:
        groups = (*rung_groups(backbone), head_group(backbone, head))
        return self.plan(backbone, groups, terms=(TaskTerm(), Pull(self.alpha, self.beta)))

    def axes(self, backbone: Backbone) -> tuple[Axis, ...]:
        return (Axis("learning_rate"), Axis("alpha", factor=10.0))


@dataclass(frozen=True)
class Pull(Term):
    """`alpha/2 sum (w - w_0)^2` over trained weights of the backbone, `beta/2 sum v^2` over those of the head."""

    name: ClassVar[str] = "pull"
    on_weights: ClassVar[bool] = True
    pulls_at_once: ClassVar[bool] = False

    alpha: float
    beta: float

    def begin(self, given: Beginning) -> dict[str, Tensor]:
        parameters = dict(given.module.named_parameters())
        return {n: parameters[n].detach().clone() for n in given.trained if n.startswith("backbone.")}

    def loss(self, seen: Mapping[str, Outputs], at: Step) -> Tensor:
        parameters = dict(at.module.named_parameters())
        total = torch.zeros((), device=at.targets.device)
        for name in at.trained:
            value = parameters[name]
            if name in at.kept:
                total = total + 0.5 * self.alpha * (value - at.kept[name]).square().sum()
            else:
                total = total + 0.5 * self.beta * value.square().sum()
        return at.task.count(at.targets) * total
