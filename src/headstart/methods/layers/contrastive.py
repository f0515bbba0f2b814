"""Contrastive few-shot tuning (SetFit): the encoder learns from pairs of examples, then a head is solved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from headstart.backbones.backbone import Backbone
from headstart.core.errors import MethodError
from headstart.methods.convex import Convex
from headstart.methods.method import METHODS, GradientMethod, head_group, rung_groups
from headstart.methods.plan import Phase, Plan
from headstart.methods.term import TRAIN, Outputs, Step, Term

if TYPE_CHECKING:
    from headstart.tasks.task import Task


@METHODS.register("contrastive")
@dataclass(frozen=True)
class Contrastive(GradientMethod):
    """`1/2 mean_same (1 - cos(f_i, f_j))^2 + 1/2 mean_different cos(f_i, f_j)^2` over all pairs within a batch.

    n examples give n (n - 1) / 2 pairs, so a few examples teach the encoder much; all pairs of a batch come from one
    forward pass over its examples. Then the probe's head is solved on the learned features. Augmentations that mix two
    examples are skipped, because a mixture belongs to no single class.
    Source: Tunstall et al. 2022, "Efficient Few-Shot Learning Without Prompts" (SetFit), section 3, which runs the
    encoder once per pair.
    """

    summary: ClassVar[str] = "the encoder learns from pairs of few examples, then a solved head"
    adds: ClassVar[bool] = True
    base_rate: ClassVar[float] = 1e-4
    conv_rate: ClassVar[float] = 1e-3

    batch: int = 32
    "examples per step; all their pairs are used"
    stretch: float = 0.5
    "factor on the number of epochs of the run"
    frozen: int = 1
    "number of lowest rungs that are frozen, which makes steps cheaper; 1 freezes the embeddings or the stem"
    penalty: float = 1.0
    "L2 penalty of the head that is solved at the end"

    def attach(self, backbone: Backbone, head: nn.Module) -> Plan:
        if not 0 <= self.frozen < len(backbone.ladder):
            raise MethodError(
                f"contrastive: frozen is {self.frozen}, but of this ladder's {len(backbone.ladder)} rungs at least one "
                f"has to learn from the pairs; choose 0 to {len(backbone.ladder) - 1}."
            )
        rungs = rung_groups(backbone, lowest=self.frozen)
        only = (Phase(0.0, tuple(group.name for group in rungs)),)
        return self.plan(
            backbone, (*rungs, head_group(backbone, head)), timeline=only, terms=(Pairs(),), balanced=True,
            solved_after=Convex(self.penalty), batch_size=self.batch, stretch=self.stretch,
        )  # fmt: skip


@dataclass(frozen=True)
class Pairs(Term):
    """All pairs within a step's batch: near where they are of one class, at a right angle where not."""

    name: ClassVar[str] = "pairs"
    whole: ClassVar[bool] = True

    def check(self, task: Task) -> None:
        if not task.exclusive:
            raise MethodError(f"pairs are of the same class or not, which a {task.kind} task has no word for.")

    def loss(self, seen: Mapping[str, Outputs], at: Step) -> Tensor:
        return contrastive_loss(seen[TRAIN].features, at.targets)


def contrastive_loss(features: Tensor, targets: Tensor) -> Tensor:
    """`1/2 mean_same (1 - cos)^2 + 1/2 mean_different cos^2` over all pairs i < j; a scalar.

    features: [B, D]; targets: [B] classes. A side without pairs, as in a batch of one class, counts
    as 0.
    """
    unit = F.normalize(features, dim=1)
    rows, columns = torch.triu_indices(len(unit), len(unit), offset=1, device=unit.device)
    cosine = (unit @ unit.T)[rows, columns]  # [pairs]
    same = targets[rows] == targets[columns]
    zero = features.sum() * 0.0
    near = (1 - cosine[same]).square().mean() if bool(same.any()) else zero
    far = cosine[~same].square().mean() if not bool(same.all()) else zero
    return 0.5 * (near + far)
