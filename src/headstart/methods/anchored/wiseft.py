"""WiSE-FT: weights between the base's and the tuned ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from headstart.backbones.backbone import Backbone
from headstart.core.errors import MethodError
from headstart.methods.method import METHODS, FromWords, GradientMethod, head_group, rung_groups, told
from headstart.methods.plan import Plan


@METHODS.register("wiseft")
@dataclass(frozen=True)
class WiseFt(FromWords, GradientMethod):
    """`(1 - a) start + a tuned`: the base with the solved probe's head (or the zero-shot one, as in the
    paper, where `words` are given), everything tuned from there, and in between.

    Validation chooses a among `shares`, of equals the one nearest the base; the record holds the whole curve.
    Source: Wortsman et al. 2022, "Robust fine-tuning of zero-shot models", section 3.
    """

    summary: ClassVar[str] = "tuned and base weights interpolated, the share chosen on validation"

    shares: tuple[float, ...] = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
    "shares a of the tuned weights that are tried"
    penalty: float = 30.0
    "strength of the L2 penalty with which the head is solved first"

    def attach(self, backbone: Backbone, head: nn.Module) -> Plan:
        if not self.shares or not all(0 <= share <= 1 for share in self.shares):
            raise MethodError(f"wiseft: shares are {self.shares}, but have to lie between 0 and 1, one at least.")
        groups = (*rung_groups(backbone), head_group(backbone, head))
        words = told(self, backbone)
        return self.plan(
            backbone, groups, words=words, head_start="random" if words else "convex", penalty=self.penalty,
            interpolation=tuple(sorted(self.shares)),
        )  # fmt: skip
