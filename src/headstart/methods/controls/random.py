"""Control: a linear probe on the same architecture with random weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from headstart.backbones.backbone import Backbone, Reads
from headstart.methods.convex import Convex
from headstart.methods.method import METHODS, Method, head_group
from headstart.methods.plan import Plan


@METHODS.register("random")
@dataclass(frozen=True)
class Random(Method):
    """A probe on the features of a random network: the quality that needs no pretrained model.

    Random networks keep much of their input, such as which words occur or how bright a corner is. A high score means
    that such shortcuts solve the task; the difference to the probe measures the frozen base. There is one training and
    no tuning. Source: Conneau et al. 2018, "What you can cram into a single $&!#* vector", section 4, whose untrained
    encoders are this control.
    """

    control: ClassVar[bool] = True
    apart: ClassVar[bool] = True
    summary: ClassVar[str] = "control: a probe on the same architecture with random weights"

    penalty: float = 30.0
    "L2 penalty on the head, in units of scikit-learn's 1/C"
    reads: Reads = "all"
    "features that the head reads: all for those of every rung side by side, or top"

    @property
    def head_reads(self) -> Reads:
        return self.reads

    def attach(self, backbone: Backbone, head: nn.Module) -> Plan:
        return Plan(
            groups=(head_group(backbone, head),),
            solver=Convex(self.penalty),
            reads=self.reads,
            fresh=tuple(range(len(backbone.ladder))),
        )
