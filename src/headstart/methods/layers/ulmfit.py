"""ULMFiT: discriminative rates, slanted triangular schedule and gradual unfreezing together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from headstart.backbones.backbone import Backbone
from headstart.methods.method import METHODS, GradientMethod, gradual, head_group, rung_groups
from headstart.methods.plan import Plan, ScheduleName


@METHODS.register("ulmfit")
@dataclass(frozen=True)
class Ulmfit(GradientMethod):
    """Discriminative rates (factor 2.6 per rung), slanted triangular schedule (cut 0.1, ratio 32), gradual unfreezing.

    Source: Howard & Ruder 2018, sections 3.2 and 3.3.
    """

    summary: ClassVar[str] = "discriminative rates, slanted triangular schedule and gradual unfreezing"
    base_rate: ClassVar[float] = 1e-3
    conv_rate: ClassVar[float] = 3e-3

    schedule: ScheduleName = "slanted_triangular"
    "learning-rate schedule: constant, linear, cosine, one_cycle or slanted_triangular"
    factor: float = 2.6
    "factor by which the learning rate falls from a rung to the next lower one"
    share: float = 0.6
    "share of the steps after which all rungs train"
    stages: int = 4
    "number of phases, from the head alone to the whole network"

    def attach(self, backbone: Backbone, head: nn.Module) -> Plan:
        groups = (*rung_groups(backbone, factor=self.factor), head_group(backbone, head))
        return self.plan(backbone, groups, timeline=gradual(groups, self.share, self.stages))
