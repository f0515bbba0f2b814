"""Model soup: the average of what the other methods of a comparison have reached."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from headstart.backbones.backbone import Backbone
from headstart.methods.method import METHODS, Method, head_group, rung_groups
from headstart.methods.plan import Plan


@METHODS.register("soup")
@dataclass(frozen=True)
class Soup(Method):
    """Weights of the best training on validation, averaged with those of each other one that does not lower its score.

    Ingredients are all trainings of the comparison, tuning included, that change weights alone and read the top; its
    training costs as much as theirs together, and its use as much as one of them. Source: Wortsman et al. 2022, "Model
    soups: averaging weights of multiple fine-tuned models improves accuracy without increasing inference time",
    algorithm 1 (greedy).
    """

    combines: ClassVar[bool] = True
    summary: ClassVar[str] = "the greedy average of the comparison's fine-tuned models"

    def attach(self, backbone: Backbone, head: nn.Module) -> Plan:
        return Plan(groups=(*rung_groups(backbone), head_group(backbone, head)), solver="soup")
