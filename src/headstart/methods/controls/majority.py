"""Control: always the most frequent class, or the mean of the targets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from headstart.backbones.backbone import Backbone
from headstart.methods.method import METHODS, Method, head_group
from headstart.methods.plan import Plan
from headstart.methods.solver import Given, Solver


@METHODS.register("majority")
@dataclass(frozen=True)
class Majority(Method):
    """A head of zeros with the training set's log class frequencies (or mean) as biases; it ignores the input."""

    control: ClassVar[bool] = True
    needs_bias: ClassVar[bool] = True
    summary: ClassVar[str] = "control: the most frequent class, whatever the input"

    def attach(self, backbone: Backbone, head: nn.Module) -> Plan:
        return Plan(groups=(head_group(backbone, head),), solver=Prior())


@dataclass(frozen=True)
class Prior(Solver):
    """A head of zeros whose biases know the training targets alone: log frequencies, log odds or their mean."""

    reads_features: ClassVar[bool] = False
    calibrates: ClassVar[bool] = False

    def solve(self, given: Given) -> tuple[str, ...]:
        head = given.linear
        assert head.bias is not None, "a method that solves for the prior asks for a head with biases"
        with torch.no_grad():
            head.weight.zero_()
            head.bias.copy_(given.task.prior(given.task.known(given.targets, given.targets)[1]))
        return ()
