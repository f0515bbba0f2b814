"""Contrastive few-shot tuning: the encoder learns from pairs of a few examples, a head is solved on top."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from headstart.backbones.backbone import Backbone
from headstart.core.errors import MethodError
from headstart.methods.method import METHODS, GradientMethod, head_group, rung_groups
from headstart.methods.plan import Phase, Plan


@METHODS.register("contrastive")
@dataclass(frozen=True)
class Contrastive(GradientMethod):
    """`1/2 mean_same (1 - cos(f_i, f_j))^2 + 1/2 mean_different cos(f_i, f_j)^2` over all pairs within a batch.

    n examples hold n (n - 1) / 2 pairs, so that few of them teach the encoder much; all pairs of a batch come from one
    pass over its examples. Then the probe's head is solved on what was learned. Augmentations that mix two examples
    are left out: a mixture is of no one class.
    Source: Tunstall et al. 2022, "Efficient Few-Shot Learning Without Prompts" (SetFit), section 3, which passes every
    pair through the encoder anew.
    """

    summary: ClassVar[str] = "the encoder learns from pairs of few examples, then a solved head"
    base_rate: ClassVar[float] = 1e-4
    conv_rate: ClassVar[float] = 1e-3

    batch: int = 32
    "examples a step, among which all pairs are formed"
    stretch: float = 0.5
    "times as many epochs as the other methods of the run"
    frozen: int = 1
    "how many of the lowest rungs stay as they are, so that a step is cheaper; 1: the embeddings or the stem"
    penalty: float = 1.0
    "strength of the L2 penalty of the head that is solved at the end"

    def attach(self, backbone: Backbone, head: nn.Module) -> Plan:
        if not 0 <= self.frozen < len(backbone.ladder):
            raise MethodError(
                f"contrastive: frozen is {self.frozen}, but of this ladder's {len(backbone.ladder)} rungs at least one "
                f"has to learn from the pairs; choose 0 to {len(backbone.ladder) - 1}."
            )
        rungs = rung_groups(backbone, lowest=self.frozen)
        only = (Phase(0.0, tuple(group.name for group in rungs)),)
        return self.plan(
            backbone, (*rungs, head_group(backbone, head)), timeline=only, loss="contrastive", penalty=self.penalty,
            batch_size=self.batch, stretch=self.stretch,
        )  # fmt: skip
