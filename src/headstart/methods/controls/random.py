"""Control: a linear probe on the same architecture with random weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from headstart.backbones.backbone import Backbone, Reads
from headstart.methods.method import METHODS, Method, head_group
from headstart.methods.plan import Plan


@METHODS.register("random")
@dataclass(frozen=True)
class Random(Method):
    """The probe on features that nothing was learned for: what it reaches needs no pretrained model.

    Random networks keep much of their input, such as which words occur or how bright a corner is. A high value tells
    of a task that such shortcuts solve; the distance from here to the probe is what the frozen base brings. One
    training, one pass over the data: nothing is tuned. Source: Conneau et al. 2018, "What you can cram into a single
    $&!#* vector", section 4, whose untrained encoders are this control.
    """

    control: ClassVar[bool] = True
    apart: ClassVar[bool] = True
    summary: ClassVar[str] = "control: a probe on the same architecture with random weights"

    penalty: float = 30.0
    "strength of the L2 penalty on the head, in the units of scikit-learn's 1/C"
    reads: Reads = "all"
    "all: the features of every rung side by side; top: those at the top alone"

    @property
    def head_reads(self) -> Reads:
        return self.reads

    def attach(self, backbone: Backbone, head: nn.Module) -> Plan:
        return Plan(
            groups=(head_group(backbone, head),), solver="convex", penalty=self.penalty, reads=self.reads, fresh=True
        )
