"""LoRA (also DoRA, PiSSA, rsLoRA): low-rank updates of frozen weights."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import partial
from typing import ClassVar

from torch import nn

from headstart.backbones.backbone import Backbone
from headstart.backbones.ladder.ladder import Site
from headstart.backbones.ladder.weights import is_plain, owns_weight, scales_with_weight
from headstart.core.errors import MethodError
from headstart.methods.adapters.lora_update import LoraUpdate, Start, weight_of
from headstart.methods.method import METHODS, GradientMethod, head_group
from headstart.methods.plan import Edit, Group, Plan
from headstart.methods.words import FromWords, told

LORA = "lora"
"the name of an update beside its layer"
FACTORS = ("lora_a.weight", "lora_b.weight", "magnitude")


@METHODS.register("lora")
@dataclass(frozen=True)
class Lora(FromWords, GradientMethod):
    """`y = W x + s B A dropout(x)` with A [r, in] random, B [out, r] zero, so that step 0 equals the base.

    `s = alpha / r`, or `alpha / sqrt(r)` when rank-stabilised. A convolution gets a convolution of the same kernel,
    stride and padding to r channels, followed by a 1x1 convolution; a layer whose forward pads or standardises uses the
    weight W + s B A. Grouped convolutions get no update. Sources: Hu et al. 2021, "LoRA", section
    4.1; Kalajdzievski 2023, "A Rank Stabilization Scaling Factor for Fine-Tuning with LoRA"; Liu et al. 2024, "DoRA:
    Weight-Decomposed Low-Rank Adaptation"; Meng et al. 2024, "PiSSA".
    """

    summary: ClassVar[str] = "low-rank updates beside frozen weights"
    base_rate: ClassVar[float] = 1e-3
    conv_rate: ClassVar[float] = 3e-3

    rank: int = 8
    "rank r of the updates"
    alpha: float = 16.0
    "scale of the updates: s = alpha / rank"
    rank_stabilised: bool = False
    "rank-stabilised scale: s = alpha / sqrt(rank)"
    dropout: float = 0.0
    "dropout on the inputs of the updates, as a probability"
    targets: tuple[str, ...] = ("auto",)
    """layers with an update: auto (linear or conv, whichever holds more weights), linear, attention, feedforward, conv,
    all, or patterns of module paths such as *.query,*.value"""
    ranks: tuple[str, ...] = ()
    """ranks of single rungs or layers, such as encoder.layer.5=16,encoder.layer.0=0: names of rungs, or patterns of
    paths; the last match counts, and 0 omits a layer"""
    dora: bool = False
    "DoRA: train the norm of each row of a weight apart from its direction"
    start: Start = "zero"
    "start of the updates: zero, or pissa for the leading singular vectors, which are subtracted from the weight"

    def attach(self, backbone: Backbone, head: nn.Module) -> Plan:
        module = backbone.module
        if self.rank < 1:
            raise MethodError(f"lora: rank is {self.rank}, but has to be at least 1.")
        if not 0 <= self.dropout < 1:
            raise MethodError(f"lora: dropout is {self.dropout}, but has to lie in [0, 1).")
        sites = self._ranked(backbone)
        if self.dora and (blind := [s.path for s, _ in sites if not scales_with_weight(module.get_submodule(s.path))]):
            raise MethodError(
                f"lora: dora trains the sizes of weights, but {', '.join(blind[:3])} standardise theirs before use, so "
                "it would change nothing. Leave dora out, or choose targets without these layers."
            )
        groups, factors = [], [f"{LORA}.{name}" for name in FACTORS[: 3 if self.dora else 2]]
        for rung in sorted({site.rung for site, _ in sites}):
            here = [site.path for site, _ in sites if site.rung == rung]
            names = tuple(f"backbone.{path}.{factor}" for path in here for factor in factors)
            groups.append(Group(f"lora:{backbone.ladder.rungs[rung].name}", names, rung=rung))
        edits = tuple(Edit(f"backbone.{site.path}", self._builder(rank), LORA) for site, rank in sites)
        return self.plan(backbone, (*groups, head_group(backbone, head)), edits=edits, start=told(self, backbone))

    def _builder(self, rank: int) -> partial[LoraUpdate]:
        scale = self.alpha / (math.sqrt(rank) if self.rank_stabilised else rank)
        return partial(LoraUpdate, rank=rank, scale=scale, dropout=self.dropout, dora=self.dora, start=self.start)

    def _ranked(self, backbone: Backbone) -> list[tuple[Site, int]]:
        """The sites with their ranks. Raises `MethodError` if an entry of `ranks` matches none."""
        sites = self.sites(backbone)
        found = {site.path: self.rank for site in sites}
        for entry in self.ranks:
            pattern, equals, number = entry.rpartition("=")
            if not equals or not number.strip().isdigit():
                raise MethodError(
                    f"lora: ranks takes PATTERN=RANK, such as encoder.layer.5=16; {entry!r} does not fit."
                )
            fitting = [
                site.path
                for site in sites
                if pattern == backbone.ladder.rungs[site.rung].name or fnmatch(site.path, pattern)
            ]
            if not fitting:
                names = ", ".join(dict.fromkeys(backbone.ladder.rungs[site.rung].name for site in sites))
                raise MethodError(f"lora: no layer fits {pattern!r} of ranks; rungs with an update: {names}.")
            found.update(dict.fromkeys(fitting, int(number)))
        ranked = [(site, found[site.path]) for site in sites if found[site.path]]
        if not ranked:
            raise MethodError("lora: ranks leave out every layer; give one of them a rank of 1 or more.")
        return ranked

    def sites(self, backbone: Backbone) -> tuple[Site, ...]:
        """The sites with an update. Raises `MethodError` if a target matches none."""
        module = backbone.module
        possible = [s for s in backbone.ladder.sites_of("linear", "conv") if _takes(module.get_submodule(s.path))]
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
    if any(target == other.path for other in possible):
        return site.path == target  # a full path means that layer, even if it is also a keyword or an ending
    if target == "auto":
        weight = {"linear": 0, "conv": 0}
        for other in possible:
            weight[other.kind] += weight_of(backbone.module.get_submodule(other.path)).numel()
        target = max(weight, key=lambda kind: weight[kind])
    if target == "all":
        return True
    if target in ("linear", "conv"):
        return site.kind == target
    if target in ("attention", "feedforward"):
        return site.kind == "linear" and site.part == target
    return fnmatch(site.path, target) or site.path.endswith(f".{target}")


def _takes(layer: nn.Module) -> bool:
    """True for layers that can have an update: ungrouped, and either plain or with a forward that takes a weight."""
    return getattr(layer, "groups", 1) == 1 and (is_plain(layer) or owns_weight(layer))
