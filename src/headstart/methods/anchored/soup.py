"""Model soup: the average weights of the comparison's other models."""

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
    """Averages the best model on validation with each other model that does not lower the validation score.

    Ingredients are all trainings of the comparison, trials included, that only change weights and read the top. Its
    training cost is the sum of theirs; its latency is that of one model. Source: Wortsman et al. 2022, "Model
    soups: averaging weights of multiple fine-tuned models improves accuracy without increasing inference time",
    algorithm 1 (greedy).
    """

    combines: ClassVar[bool] = True
    summary: ClassVar[str] = "the greedy average of the comparison's fine-tuned models"

    def attach(self, backbone: Backbone, head: nn.Module) -> Plan:
        return Plan(groups=(*rung_groups(backbone), head_group(backbone, head)), solver="soup")
