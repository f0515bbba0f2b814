"""Control: training the same architecture from random weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from headstart.backbones.backbone import Backbone
from headstart.backbones.vocabulary import VocabularyHead
from headstart.core.errors import MethodError
from headstart.methods.method import METHODS, GradientMethod, head_group, rung_groups
from headstart.methods.plan import Plan


@METHODS.register("scratch")
@dataclass(frozen=True)
class Scratch(GradientMethod):
    """Trains all weights from random values; the difference to fine-tuning measures the pretraining."""

    control: ClassVar[bool] = True
    summary: ClassVar[str] = "control: the same architecture from random weights"
    base_rate: ClassVar[float] = 3e-4
    conv_rate: ClassVar[float] = 3e-3

    def attach(self, backbone: Backbone, head: nn.Module) -> Plan:
        if isinstance(head, VocabularyHead):
            raise MethodError("scratch: a language model with random weights learns no language from so few answers.")
        groups = (*rung_groups(backbone), head_group(backbone, head))
        return self.plan(backbone, groups, fresh=tuple(range(len(backbone.ladder))))
