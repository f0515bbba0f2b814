"""BitFit: trains only the biases."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from headstart.backbones.backbone import Backbone
from headstart.core.errors import MethodError
from headstart.methods.method import METHODS, GradientMethod, head_group, rung_groups
from headstart.methods.plan import Plan


@METHODS.register("bitfit")
@dataclass(frozen=True)
class BitFit(GradientMethod):
    """Trains every bias (a one-dimensional parameter called `bias`, `q_bias`, `in_proj_bias`, …) and the head.

    Source: Ben Zaken et al. 2022, "BitFit: Simple Parameter-efficient Fine-tuning for Transformer-based Masked
    Language-models", section 3.
    """

    summary: ClassVar[str] = "only the biases train"
    base_rate: ClassVar[float] = 3e-3
    conv_rate: ClassVar[float] = 1e-2

    def attach(self, backbone: Backbone, head: nn.Module) -> Plan:
        parameters = dict(backbone.module.named_parameters())
        biases = {n for n, p in parameters.items() if p.dim() == 1 and _is_bias(n.rpartition(".")[2])}
        if not biases:
            raise MethodError(
                "bitfit: this backbone has no biases, like most current decoders; train norms, ia3 or lora instead."
            )
        groups = rung_groups(backbone, only=biases)
        return self.plan(backbone, (*groups, head_group(backbone, head)))


def _is_bias(name: str) -> bool:
    return name.startswith("bias") or name.endswith("bias")
