"""LoRA: a low-rank update beside frozen weights."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from headstart.backbones.backbone import Backbone
from headstart.backbones.ladder import Site
from headstart.core.errors import MethodError
from headstart.methods.method import METHODS, GradientMethod, head_group
from headstart.methods.plan import Edit, Group, Plan


@METHODS.register("lora")
@dataclass(frozen=True)
class Lora(GradientMethod):
    """`y = W x + s B A dropout(x)` with A [r, in] random, B [out, r] zero, so that step 0 equals the base.

    `s = alpha / r`, or `alpha / sqrt(r)` when rank-stabilised. A convolution gets a convolution of the same kernel,
    stride and padding to r channels, followed by a 1x1 convolution. Sources: Hu et al. 2021, "LoRA", section 4.1;
    Kalajdzievski 2023, "A Rank Stabilization Scaling Factor for Fine-Tuning with LoRA".
    """

    summary: ClassVar[str] = "low-rank updates beside frozen weights"
    base_rate: ClassVar[float] = 1e-3
    conv_rate: ClassVar[float] = 3e-3

    rank: int = 8
    "rank r of the update"
    alpha: float = 16.0
    "scale of the update: s = alpha / rank"
    rank_stabilised: bool = False
    "s = alpha / sqrt(rank) instead"
    dropout: float = 0.0
    "probability with which inputs of the update are dropped in training"
    targets: tuple[str, ...] = ("auto",)
    """where: auto (linear or conv, whichever holds more weights), linear, attention, feedforward, conv, all, or
    patterns of module paths such as *.query,*.value"""

    def attach(self, backbone: Backbone, head: nn.Module) -> Plan:
        if self.rank < 1:
            raise MethodError(f"lora: rank is {self.rank}, but has to be at least 1.")
        if not 0 <= self.dropout < 1:
            raise MethodError(f"lora: dropout is {self.dropout}, but has to lie in [0, 1).")
        sites = self.sites(backbone)
        scale = self.alpha / (math.sqrt(self.rank) if self.rank_stabilised else self.rank)
        groups = []
        for rung in sorted({site.rung for site in sites}):
            here = [site.path for site in sites if site.rung == rung]
            names = tuple(f"backbone.{path}.{factor}.weight" for path in here for factor in ("lora_a", "lora_b"))
            groups.append(Group(f"lora:{backbone.ladder.rungs[rung].name}", names, rung=rung))
        build = partial(LoraLayer, rank=self.rank, scale=scale, dropout=self.dropout)
        edits = tuple(Edit(f"backbone.{site.path}", build) for site in sites)
        return self.plan(backbone, (*groups, head_group(backbone, head)), edits=edits)

    def sites(self, backbone: Backbone) -> tuple[Site, ...]:
        """The sites that the update is put on. Raises `MethodError` where a target matches none."""
        module = backbone.module
        possible = [s for s in backbone.ladder.sites_of("linear", "conv") if _ungrouped(module.get_submodule(s.path))]
        if not possible:
            raise MethodError("lora: this backbone has no linear or convolutional layer to put an update on.")
        chosen: dict[str, Site] = {}
        for target in self.targets:
            matching = [site for site in possible if _matches(site, target, possible, backbone)]
            if not matching:
                paths = ", ".join(site.path for site in possible[:8])
                raise MethodError(
                    f"lora: target {target!r} matches no layer. Allowed: auto, linear, attention, feedforward, conv, "
                    f"all, or a pattern of these {len(possible)} paths: {paths}{', …' if len(possible) > 8 else ''}."
                )
            chosen.update((site.path, site) for site in matching)
        return tuple(site for site in possible if site.path in chosen)


def _matches(site: Site, target: str, possible: list[Site], backbone: Backbone) -> bool:
    if target == "auto":
        weight = {"linear": 0, "conv": 0}
        for other in possible:
            weight[other.kind] += _weight(backbone.module.get_submodule(other.path)).numel()
        target = max(weight, key=lambda kind: weight[kind])
    if target == "all":
        return True
    if target in ("linear", "conv"):
        return site.kind == target
    if target in ("attention", "feedforward"):
        return site.kind == "linear" and site.part == target
    return fnmatch(site.path, target) or site.path.endswith(f".{target}")


def _weight(module: Any) -> Tensor:
    return module.weight


def _ungrouped(module: nn.Module) -> bool:
    return getattr(module, "groups", 1) == 1


class LoraLayer(nn.Module):
    """A frozen layer with its low-rank update; linear layers, convolutions, and transformers' transposed Conv1D."""

    def __init__(self, base: nn.Module, rank: int, scale: float, dropout: float) -> None:
        super().__init__()
        self.base, self.scale, self.dropout = base, scale, dropout
        weight = _weight(base)
        self.lora_a: nn.Module
        self.lora_b: nn.Module
        if weight.dim() > 2:
            conv: Any = type(base)
            options: dict[str, Any] = {k: getattr(base, k) for k in ("stride", "padding", "dilation", "padding_mode")}
            kernel = weight.shape[2:]
            self.lora_a = conv(weight.shape[1], rank, tuple(kernel), bias=False, **options)
            self.lora_b = conv(rank, weight.shape[0], (1,) * len(kernel), bias=False)
        else:
            inputs, outputs = weight.shape if self.transposed else weight.shape[::-1]
            self.lora_a = nn.Linear(inputs, rank, bias=False)
            self.lora_b = nn.Linear(rank, outputs, bias=False)
        nn.init.kaiming_uniform_(_weight(self.lora_a), a=math.sqrt(5))
        nn.init.zeros_(_weight(self.lora_b))
        self.to(device=weight.device)
        self.lora_a.to(weight.dtype)
        self.lora_b.to(weight.dtype)

    @property
    def transposed(self) -> bool:
        """Whether the base keeps its weight as [in, out] (transformers' Conv1D, told by `nf`)."""
        return hasattr(self.base, "nf")

    @property
    def weight(self) -> Tensor:
        """The base's weight: models that others wrote look at its type and device."""
        return _weight(self.base)

    @property
    def bias(self) -> Tensor | None:
        bias: Any = self.base.bias
        return bias

    def forward(self, x: Tensor) -> Tensor:
        low = F.dropout(x, self.dropout, self.training) if self.dropout else x
        return self.base(x) + self.scale * self.lora_b(self.lora_a(low))

    def delta(self) -> Tensor:
        """`s B A` in the shape of the base's weight."""
        a, b = _weight(self.lora_a), _weight(self.lora_b)
        update = (b.flatten(1) @ a.flatten(1)).reshape(b.shape[0], *a.shape[1:])  # [out, in, *kernel]
        return self.scale * (update.T if self.transposed else update)

    def merged(self) -> nn.Module:
        """An ordinary layer with `W + s B A`."""
        layer = copy.deepcopy(self.base)
        with torch.no_grad():
            _weight(layer).add_(self.delta())
        return layer
