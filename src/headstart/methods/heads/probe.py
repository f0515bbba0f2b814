"""Linear probe: a convex head on the frozen backbone's features, solved to convergence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from headstart.backbones.backbone import Backbone, Reads
from headstart.methods.convex import Convex
from headstart.methods.method import METHODS, Axis, Method, head_group
from headstart.methods.plan import Plan
from headstart.methods.words import FromWords, told


@METHODS.register("probe")
@dataclass(frozen=True)
class Probe(FromWords, Method):
    """`min_W  (1/n) sum_i loss(W z_i, y_i) + penalty/(2n) ||W||^2` on standardised features z, biases unpenalised.

    The loss is cross-entropy, binary cross-entropy per label, or half the squared error. The standardisation is folded
    into the head afterwards. With `words`, the penalty pulls W towards the zero-shot classifier instead of zero, and
    the head reads only the top. Source: Alain & Bengio 2016, "Understanding intermediate layers using
    linear classifier probes".
    """

    summary: ClassVar[str] = "features of the frozen backbone under a linear head, solved to convergence"

    penalty: float = 30.0
    "L2 penalty on the head, in units of scikit-learn's 1/C"
    reads: Reads | None = None
    """features that the head reads: all for those of every rung side by side, or top, which an export needs; default:
    chosen on validation"""

    @property
    def head_reads(self) -> Reads:
        return "top" if self.words else self.reads or "all"

    def attach(self, backbone: Backbone, head: nn.Module) -> Plan:
        solver = Convex(self.penalty, near=told(self, backbone))
        return Plan(groups=(head_group(backbone, head),), solver=solver, reads=self.head_reads)

    def axes(self, backbone: Backbone) -> tuple[Axis, ...]:
        reads = () if self.words else (Axis("reads", values=("all", "top")),)
        return (Axis("penalty", factor=10.0), *reads)
