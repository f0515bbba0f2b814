"""Freezing layers: the lowest rungs keep the base's weights, the other rungs and the head train."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from headstart.backbones.backbone import Backbone
from headstart.core.errors import MethodError
from headstart.methods.method import METHODS, Axis, GradientMethod, head_group, rung_groups
from headstart.methods.plan import Plan
from headstart.methods.upper import UpperRungs


@METHODS.register("freeze")
@dataclass(frozen=True)
class Freeze(UpperRungs, GradientMethod):
    """Freezes the lowest `rungs` (or a `share` of them) in eval mode, so that their output can be cached.

    Source: Yosinski et al. 2014, "How transferable are features in deep neural networks?".
    """

    summary: ClassVar[str] = "the lowest rungs stay frozen, the others train"
    base_rate: ClassVar[float] = 2e-4

    rungs: int | None = None
    "number of lowest rungs that are frozen; default: by `share`"
    share: float = 0.5
    "share of the rungs that is frozen, if `rungs` is not given"

    def depth(self, backbone: Backbone) -> int:
        n = len(backbone.ladder)
        depth = round(self.share * n) if self.rungs is None else self.rungs
        if not 0 <= depth <= n:
            raise MethodError(
                f"freeze: can't freeze {depth} rungs of a ladder with {n}; choose 0 to {n} (share from 0 to 1)."
            )
        return depth

    def attach(self, backbone: Backbone, head: nn.Module) -> Plan:
        groups = (*rung_groups(backbone, lowest=self.depth(backbone)), head_group(backbone, head))
        return self.changed(backbone, self.plan(backbone, groups))

    def axes(self, backbone: Backbone) -> tuple[Axis, ...]:
        if self.rungs is not None:
            return (Axis("learning_rate"),)
        return (Axis("learning_rate"), Axis("share", values=(0.25, 0.5, 0.7, 0.85)))
