"""Full fine-tuning: trains every weight of the backbone and the head."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from headstart.backbones.backbone import Backbone
from headstart.methods.method import METHODS, GradientMethod, head_group, rung_groups
from headstart.methods.plan import Plan
from headstart.methods.upper import UpperRungs
from headstart.methods.words import FromWords, told


@METHODS.register("full")
@dataclass(frozen=True)
class Full(UpperRungs, FromWords, GradientMethod):
    """All rungs and the head at one learning rate."""

    summary: ClassVar[str] = "every weight trains"

    def attach(self, backbone: Backbone, head: nn.Module) -> Plan:
        groups = (*rung_groups(backbone), head_group(backbone, head))
        return self.changed(backbone, self.plan(backbone, groups, start=told(self, backbone)))
