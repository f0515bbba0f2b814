"""Feature distillation: the tuned model's features stay near the base's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from headstart.backbones.backbone import Backbone
from headstart.methods.method import METHODS, Axis, GradientMethod, head_group, rung_groups
from headstart.methods.plan import Penalty, Plan


@METHODS.register("distill")
@dataclass(frozen=True)
class Distill(GradientMethod):
    """`loss + strength/2 mean_d (f_d(x) - f0_d(x))^2 / var(f0)`, f0 the base's pooled features of the same example.

    In units of the base's own variance, so that one strength suits every backbone. Learning without forgetting does
    the same with the outputs of old heads, which a backbone has none of; augmented views are held to the features of
    the plain one. Source: Li & Hoiem 2016, "Learning without Forgetting"; as features, Romero et al. 2015, "FitNets".
    """

    summary: ClassVar[str] = "every weight trains, features held near the base's"

    strength: float = 0.3
    "weight of the distance between tuned and base features"

    def attach(self, backbone: Backbone, head: nn.Module) -> Plan:
        groups = (*rung_groups(backbone), head_group(backbone, head))
        return self.plan(backbone, groups, penalties=(Penalty("features", self.strength),))

    def axes(self, backbone: Backbone) -> tuple[Axis, ...]:
        return (Axis("learning_rate"), Axis("strength", factor=10.0))
