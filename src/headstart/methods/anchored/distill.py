"""Feature distillation: the tuned model's features stay near the base's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn

from headstart.backbones.backbone import Backbone
from headstart.core.errors import MethodError
from headstart.methods.method import METHODS, Axis, GradientMethod, head_group, rung_groups
from headstart.methods.plan import Plan
from headstart.methods.term import TRAIN, Beginning, Outputs, Step, TaskTerm, Term

if TYPE_CHECKING:
    from headstart.tasks.task import Task


@METHODS.register("distill")
@dataclass(frozen=True)
class Distill(GradientMethod):
    """`loss + strength/2 mean_d (f_d(x) - f0_d(x))^2 / var(f0)`, f0 the base's pooled features of the same example.

    The distance is in units of the base's variance, so that one strength suits every backbone. Learning without
    Forgetting does the same with the outputs of old heads, which a backbone lacks. Augmented views are pulled to the
    features of the plain image. Source: Li & Hoiem 2016, "Learning without Forgetting"; as features, Romero et al.
    2015, "FitNets".
    """

    summary: ClassVar[str] = "every weight trains, features held near the base's"
    adds: ClassVar[bool] = True

    strength: float = 0.3
    "weight of the distance between tuned and base features"

    def attach(self, backbone: Backbone, head: nn.Module) -> Plan:
        groups = (*rung_groups(backbone), head_group(backbone, head))
        return self.plan(backbone, groups, terms=(TaskTerm(), Anchor(self.strength)))

    def axes(self, backbone: Backbone) -> tuple[Axis, ...]:
        return (Axis("learning_rate"), Axis("strength", factor=10.0))


@dataclass(frozen=True)
class Anchor(Term):
    """`strength/2 sum_i mean_d (f_id - f0_id)^2 / var(f0)` over the examples i and the features d."""

    name: ClassVar[str] = "anchor"
    pulls_at_once: ClassVar[bool] = False

    strength: float

    def check(self, task: Task) -> None:
        if not task.pooled:
            raise MethodError(
                "it holds one vector an example near the base's, and here each word or token has one: use l2sp"
            )

    def begin(self, given: Beginning) -> dict[str, Tensor]:
        features = given.features_of(TRAIN)  # [n, D]
        variance = float(features.var(dim=0, unbiased=False).mean()) or 1.0
        return {"features": features, "variance": torch.tensor(variance, dtype=torch.float64)}

    def loss(self, seen: Mapping[str, Outputs], at: Step) -> Tensor:
        base = at.kept["features"][at.places[TRAIN]]  # [B, D]
        distance = (seen[TRAIN].features - base).square().mean(dim=1).sum()
        return 0.5 * self.strength * distance / float(at.kept["variance"])
