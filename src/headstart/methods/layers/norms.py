"""Norm tuning: trains only the scales and shifts of the normalisation layers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from headstart.backbones.backbone import Backbone
from headstart.core.errors import MethodError
from headstart.methods.method import METHODS, GradientMethod, head_group, rung_groups
from headstart.methods.plan import Plan


@METHODS.register("norms")
@dataclass(frozen=True)
class Norms(GradientMethod):
    """Trains the weights and biases of all norm sites (layer, batch, group, RMS) and the head.

    A trained batch norm also updates its running statistics. Sources: Frankle et al. 2021, "Training BatchNorm
    and Only BatchNorm"; Qi et al. 2022, "Parameter-Efficient Tuning on Layer Normalization for Pre-trained Language
    Models".
    """

    summary: ClassVar[str] = "only the norms' scales and shifts train"
    base_rate: ClassVar[float] = 3e-3
    conv_rate: ClassVar[float] = 1e-2

    def attach(self, backbone: Backbone, head: nn.Module) -> Plan:
        own = {
            f"{site.path}.{name}"
            for site in backbone.ladder.sites_of("norm")
            for name, _ in backbone.module.get_submodule(site.path).named_parameters(recurse=False)
        }
        if not own:
            raise MethodError("norms: this backbone has no norm with parameters; train bitfit or lora instead.")
        return self.plan(backbone, (*rung_groups(backbone, only=own), head_group(backbone, head)))
