"""LP-FT: linear probing, then full fine-tuning from there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from headstart.backbones.backbone import Backbone
from headstart.methods.convex import Convex
from headstart.methods.method import METHODS, GradientMethod, head_group, rung_groups
from headstart.methods.plan import Plan


@METHODS.register("lpft")
@dataclass(frozen=True)
class LpFt(GradientMethod):
    """The head starts as the probe's solution, because a random head would distort the features in early steps.

    Source: Kumar et al. 2022, "Fine-Tuning can Distort Pretrained Features and Underperform Out-of-Distribution".
    """

    summary: ClassVar[str] = "the probe's head first, then every weight trains from there"

    penalty: float = 30.0
    "L2 penalty of the probe that gives the first head"

    def attach(self, backbone: Backbone, head: nn.Module) -> Plan:
        groups = (*rung_groups(backbone), head_group(backbone, head))
        return self.plan(backbone, groups, start=Convex(self.penalty))
