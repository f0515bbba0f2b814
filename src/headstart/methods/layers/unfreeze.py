"""Gradual unfreezing: first the head trains, then rung after rung from the top."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from headstart.backbones.backbone import Backbone
from headstart.methods.method import METHODS, GradientMethod, gradual, head_group, rung_groups
from headstart.methods.plan import Plan


@METHODS.register("unfreeze")
@dataclass(frozen=True)
class Unfreeze(GradientMethod):
    """First the head trains alone, then more and more rungs from the top; all of them after `share` of the steps.

    Source: Howard & Ruder 2018, "Universal Language Model Fine-tuning for Text Classification", section 3.3.
    """

    summary: ClassVar[str] = "gradual unfreezing from the top"

    share: float = 0.6
    "share of the steps after which all rungs train"
    stages: int = 4
    "number of phases, from the head alone to the whole network"

    def attach(self, backbone: Backbone, head: nn.Module) -> Plan:
        groups = (*rung_groups(backbone), head_group(backbone, head))
        return self.plan(backbone, groups, timeline=gradual(groups, self.share, self.stages))
