"""Control: always the most frequent class, or the mean of the targets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from headstart.backbones.backbone import Backbone
from headstart.methods.method import METHODS, Method, head_group
from headstart.methods.plan import Plan


@METHODS.register("majority")
@dataclass(frozen=True)
class Majority(Method):
    """A head of zeros with the training set's log class frequencies (or mean) as biases; it ignores the input."""

    control: ClassVar[bool] = True
    needs_bias: ClassVar[bool] = True
    summary: ClassVar[str] = "control: the most frequent class, whatever the input"

    def attach(self, backbone: Backbone, head: nn.Module) -> Plan:
        return Plan(groups=(head_group(backbone, head),), solver="prior")
