"""Agree: a method with losses of its own, over further streams of data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from torch import Tensor, nn

from headstart.backbones.backbone import Backbone
from headstart.core.errors import MethodError
from headstart.methods.method import METHODS, GradientMethod, head_group, rung_groups
from headstart.methods.plan import Plan
from headstart.methods.term import TRAIN, Outputs, Step, Stream, TaskTerm, Term


@METHODS.register("agree")
@dataclass(frozen=True)
class Agree(GradientMethod):
    """Two views of an example agree, and texts without labels get answers that are sure.

    `loss + w(t) (views/C sum_c (p_c - p'_c)^2 - sure sum_c q_c log q_c)`, p and p' of two views of a training example,
    q of an unlabelled one, `w(t) = min(1, t / rise)`. Sources: Laine & Aila 2017, "Temporal Ensembling for
    Semi-Supervised Learning", section 2.1; Grandvalet & Bengio 2005, "Semi-supervised Learning by Entropy
    Minimization".
    """

    summary: ClassVar[str] = "every weight trains; two views agree, unlabelled texts get sure answers"
    adds: ClassVar[bool] = True

    views: float = 1.0
    "weight of the disagreement of two views of a training example"
    sure: float = 0.1
    "weight of the entropy of the answers to unlabelled texts"
    rise: float = 0.5
    "share of the steps in which both weights rise from 0"
    unlabelled: str = ""
    "file of texts without labels, one a line; left out: none"

    def attach(self, backbone: Backbone, head: nn.Module) -> Plan:
        groups = (*rung_groups(backbone), head_group(backbone, head))
        terms: tuple[Term, ...] = (TaskTerm(), Views(self.views, self.rise))
        streams = (Stream("second view"),)
        if self.unlabelled:
            if not Path(self.unlabelled).is_file():
                raise MethodError(f"agree: there is no file {self.unlabelled}; unlabelled takes texts, one a line.")
            lines = Path(self.unlabelled).read_text(encoding="utf-8").splitlines()
            terms += (Sure(self.sure, self.rise),)
            streams += (Stream("unlabelled", tuple(filter(None, lines))),)
        return self.plan(backbone, groups, terms=terms, streams=streams)


@dataclass(frozen=True)
class Views(Term):
    name: ClassVar[str] = "views"
    streams: ClassVar[tuple[str, ...]] = (TRAIN, "second view")
    pulls_at_once: ClassVar[bool] = False  # without dropout and augmentation both views are one

    strength: float
    rise: float

    def weight(self, fraction: float) -> float:
        return self.strength * min(1.0, fraction / self.rise)

    def loss(self, seen: Mapping[str, Outputs], at: Step) -> Tensor:
        one, other = (seen[name].scores.softmax(-1) for name in self.streams)  # [B, C]
        return (one - other).square().mean(-1).sum()


@dataclass(frozen=True)
class Sure(Term):
    name: ClassVar[str] = "sure"
    streams: ClassVar[tuple[str, ...]] = ("unlabelled",)

    strength: float
    rise: float

    def weight(self, fraction: float) -> float:
        return self.strength * min(1.0, fraction / self.rise)

    def loss(self, seen: Mapping[str, Outputs], at: Step) -> Tensor:
        logs = seen["unlabelled"].scores.log_softmax(-1)  # [B, C]
        return -(logs.exp() * logs).sum()
