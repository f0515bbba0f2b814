"""WiSE-FT: interpolates the weights of the base and of the tuned model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from headstart.backbones.backbone import Backbone
from headstart.backbones.vocabulary import VocabularyHead
from headstart.core.errors import MethodError
from headstart.methods.convex import Convex
from headstart.methods.method import METHODS, GradientMethod, head_group, rung_groups
from headstart.methods.plan import Plan
from headstart.methods.words import FromWords, told


@METHODS.register("wiseft")
@dataclass(frozen=True)
class WiseFt(FromWords, GradientMethod):
    """`(1 - a) start + a tuned`: start is the base with the probe's head (with `words`, the zero-shot head of the
    paper), tuned is full fine-tuning from there.

    Validation chooses a among `shares`; ties go to the one nearest the base. The record holds the whole curve.
    Source: Wortsman et al. 2022, "Robust fine-tuning of zero-shot models", section 3.
    """

    summary: ClassVar[str] = "tuned and base weights interpolated, the share chosen on validation"

    shares: tuple[float, ...] = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
    "shares a of the tuned weights to try, from 0 to 1"
    penalty: float = 30.0
    "L2 penalty of the probe that gives the first head"

    def attach(self, backbone: Backbone, head: nn.Module) -> Plan:
        if not self.shares or not all(0 <= share <= 1 for share in self.shares):
            raise MethodError(f"wiseft: shares are {self.shares}, but have to lie between 0 and 1, one at least.")
        own = isinstance(head, VocabularyHead)  # which is pretrained, so that there is none to solve first
        groups = (*rung_groups(backbone), head_group(backbone, head))
        return self.plan(
            backbone, groups, start=None if own else told(self, backbone) or Convex(self.penalty),
            interpolation=tuple(sorted(self.shares)),
        )  # fmt: skip
