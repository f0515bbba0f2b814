"""Scalar mix (ELMo): a linear head on a learned average of all rungs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from headstart.backbones.backbone import Backbone, Reads
from headstart.methods.method import METHODS, GradientMethod, head_group
from headstart.methods.plan import Plan


@METHODS.register("mix")
@dataclass(frozen=True)
class Mix(GradientMethod):
    """`gamma sum_l softmax(s)_l h_l` over the pooled features h_l of all rungs, each layer-normalised, then linear.

    The backbone is frozen, so its features are computed once and epochs are cheap. Rungs whose width differs from the
    top's (in convolutional networks) go through a learned linear map each. Source: Peters et al. 2018,
    "Deep contextualized word representations", equation 1 and section 3.2.
    """

    summary: ClassVar[str] = "a linear head on a learned average of all rungs' frozen features"
    base_rate: ClassVar[float] = 1e-2
    conv_rate: ClassVar[float] = 1e-2

    normalise: bool = True
    "layer-normalise each rung's features before the average"
    stretch: float = 8.0
    "factor on the number of epochs of the run, above 1 because epochs are cheap here"

    @property
    def head_reads(self) -> Reads:
        return "all"

    def head(self, backbone: Backbone, outputs: int, bias: bool) -> nn.Module:
        return MixHead(backbone.level_widths, outputs, bias, self.normalise)

    def attach(self, backbone: Backbone, head: nn.Module) -> Plan:
        return self.plan(backbone, (head_group(backbone, head),), reads="all", stretch=self.stretch)


class MixHead(nn.Module):
    """widths: sizes of the levels in their order side by side; the last one is the top's."""

    def __init__(self, widths: Sequence[int], outputs: int, bias: bool, normalise: bool) -> None:
        super().__init__()
        self.widths, self.normalise = tuple(widths), normalise
        top = self.widths[-1]
        self.shares = nn.Parameter(torch.zeros(len(self.widths)))
        self.gamma = nn.Parameter(torch.ones(()))
        others = {str(i): nn.Linear(w, top, bias=False) for i, w in enumerate(self.widths) if w != top}
        self.maps = nn.ModuleDict(others)
        self.linear = nn.Linear(top, outputs, bias=bias)

    def forward(self, features: Tensor) -> Tensor:
        levels = features.split(self.widths, dim=-1)  # L of [B, D_l]
        if self.normalise:
            levels = tuple(F.layer_norm(level, level.shape[-1:]) for level in levels)
        even = [self.maps[str(i)](h) if str(i) in self.maps else h for i, h in enumerate(levels)]  # L of [B, D]
        mixed = torch.einsum("l,l...d->...d", self.shares.softmax(0), torch.stack(even))  # [B, D], of words [B, W, D]
        return self.linear(self.gamma * mixed)
