"""L2-SP: weight decay towards the base instead of towards zero."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from headstart.backbones.backbone import Backbone
from headstart.methods.method import METHODS, Axis, GradientMethod, head_group, rung_groups
from headstart.methods.plan import Penalty, Plan


@METHODS.register("l2sp")
@dataclass(frozen=True)
class L2Sp(GradientMethod):
    """`loss + alpha/2 ||w - w_0||^2 + beta/2 ||v||^2`: backbone weights w pulled to the base's w_0, the head v to zero.

    Source: Li, Grandvalet & Davoine 2018, "Explicit Inductive Bias for Transfer Learning with Convolutional Networks",
    section 3.
    """

    summary: ClassVar[str] = "every weight trains, pulled towards the base"

    alpha: float = 0.01
    "strength of the pull of the backbone towards the base"
    beta: float = 0.01
    "strength of the pull of the head towards zero"
    weight_decay: float = 0.0
    "decoupled weight decay of AdamW, which would pull towards zero besides"

    def attach(self, backbone: Backbone, head: nn.Module) -> Plan:
        groups = (*rung_groups(backbone), head_group(backbone, head))
        return self.plan(backbone, groups, penalties=(Penalty("weights", self.alpha, self.beta),))

    def axes(self, backbone: Backbone) -> tuple[Axis, ...]:
        return (Axis("learning_rate"), Axis("alpha", factor=10.0))
