"""Discriminative fine-tuning (layer-wise learning-rate decay): lower rungs train at lower rates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from headstart.backbones.backbone import Backbone
from headstart.methods.method import METHODS, GradientMethod, head_group, rung_groups
from headstart.methods.plan import Plan


@METHODS.register("discriminative")
@dataclass(frozen=True)
class Discriminative(GradientMethod):
    """`lr_l = lr / factor^(n - l)` for rung l of n; the head trains at `lr`.

    Source: Howard & Ruder 2018, section 3.2.
    """

    summary: ClassVar[str] = "the learning rate falls by a factor with each rung below the head"
    base_rate: ClassVar[float] = 5e-4
    conv_rate: ClassVar[float] = 3e-3

    factor: float = 2.6
    "factor by which the learning rate falls from a rung to the next lower one"

    def attach(self, backbone: Backbone, head: nn.Module) -> Plan:
        groups = (*rung_groups(backbone, factor=self.factor), head_group(backbone, head))
        return self.plan(backbone, groups)
