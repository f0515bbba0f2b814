"""(IA)3: learned scales on keys, values and the inner activations of the feed-forward layers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from headstart.backbones.backbone import Backbone
from headstart.backbones.ladder.attention import output_projection, projections, values_reach
from headstart.backbones.ladder.ladder import Site
from headstart.backbones.ladder.weights import owns_weight, scales_with_weight
from headstart.core.errors import MethodError, ModelError
from headstart.methods.method import METHODS, GradientMethod, head_group
from headstart.methods.plan import Beside, Edit, Group, Plan


@METHODS.register("ia3")
@dataclass(frozen=True)
class Ia3(GradientMethod):
    """`softmax(Q (l_k * K)^T / sqrt d) (l_v * V)` and `W_out (l_ff * f(x))`, where the vectors l start as ones.

    Networks without attention get a scale on the output channels of each convolution or hidden linear layer instead.
    Scales merge exactly into their layers.
    Source: Liu et al. 2022, "Few-Shot Parameter-Efficient Fine-Tuning is Better and Cheaper than In-Context
    Learning", section 3.3.
    """

    summary: ClassVar[str] = "learned scales on keys, values and feed-forward activations"
    base_rate: ClassVar[float] = 1e-2
    conv_rate: ClassVar[float] = 1e-2

    def attach(self, backbone: Backbone, head: nn.Module) -> Plan:
        attending = backbone.ladder.sites_of("attention")
        sites = self._attention(backbone) if attending else self._layers(backbone)
        edits = tuple(Edit(f"backbone.{site.path}", partial(_scales, build), "ia3") for site, build in sites)
        groups = []
        for rung in sorted({site.rung for site, _ in sites}):
            names = tuple(f"backbone.{site.path}.ia3.scale" for site, _ in sites if site.rung == rung)
            groups.append(Group(f"ia3:{backbone.ladder.rungs[rung].name}", names, rung=rung))
        return self.plan(backbone, (*groups, head_group(backbone, head)), edits=edits)

    def _attention(self, backbone: Backbone) -> list[tuple[Site, dict[str, Any]]]:
        module, ladder = backbone.module, backbone.ladder
        linear = {site.path: site for site in ladder.sites_of("linear")}
        found: dict[str, tuple[Site, dict[str, Any]]] = {}
        told = []
        for attention in ladder.sites_of("attention"):
            parts = projections(module, attention)
            if parts is None:
                continue
            told.append(parts)
            # one scale from the first key to the last value, because a fused layer holds them side by side
            for path in dict.fromkeys((parts.key.path, parts.value.path)):
                own = [p for p in (parts.key, parts.value) if p.path == path]
                bounds = min(p.start for p in own), max(p.stop for p in own)
                found[path] = linear[path], {"start": bounds[0], "stop": bounds[1]}
        if not told or not values_reach(backbone, told):
            raise MethodError(
                "ia3: the keys and values of this backbone's attention can't be separated (torch's own "
                "MultiheadAttention fuses them, GPT-NeoX and others interleave them head by head); train lora or "
                "pfeiffer instead."
            )
        for rung in dict.fromkeys(parts.site.rung for parts in told):
            inner = output_projection(module, ladder, rung, "feedforward")
            if inner is not None:
                found[inner.path] = inner, {"start": 0, "stop": inner.inputs, "inputs": True}
        return list(found.values())

    def _layers(self, backbone: Backbone) -> list[tuple[Site, dict[str, Any]]]:
        sites = backbone.ladder.sites_of("conv", "linear")
        if not sites:
            raise MethodError("ia3: this backbone has no attention, convolution or linear layer to scale.")
        return [(site, {"start": 0, "stop": site.outputs}) for site in sites]


def _scales(settings: dict[str, Any], module: nn.Module) -> Scales:
    weight: Any = module.weight
    return Scales(**settings, channels_first=weight.dim() > 2).to(weight.device, weight.dtype)


class Scales(Beside):
    """Multiplies the features `start` to `stop` of a layer's outputs, or of its inputs, by learned numbers."""

    row_wise: ClassVar[bool] = True

    def __init__(self, start: int, stop: int, inputs: bool = False, channels_first: bool = False) -> None:
        super().__init__()
        self.start, self.stop, self.inputs = start, stop, inputs
        self.channels_first = channels_first  # of a convolution
        self.scale = nn.Parameter(torch.ones(stop - start))

    def _scaled(self, x: Tensor) -> Tensor:
        scale: Tensor = self.scale
        first = self.channels_first
        width = x.shape[1] if first else x.shape[-1]
        if (self.start, self.stop) != (0, width):
            ones = scale.new_ones(width)
            scale = torch.cat([ones[: self.start], scale, ones[self.stop :]])
        return x * (scale.view(-1, *(1,) * (x.dim() - 2)) if first else scale)

    def before(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        if not self.inputs:
            return args, kwargs
        return (self._scaled(args[0]), *args[1:]), kwargs

    def after(self, args: tuple[Any, ...], kwargs: dict[str, Any], output: Tensor) -> Tensor:
        return output if self.inputs else self._scaled(output)

    def folded(self, module: nn.Module) -> None:
        """Puts the scales into the layer: rows of a linear weight for outputs, columns for inputs."""
        if not (owns_weight(module) and scales_with_weight(module)):
            raise ModelError(
                f"a {type(module).__name__} standardises its weight before it uses it, so scales can't be merged into "
                "it; serve the model with headstart, or train lora."
            )
        weight: Any = module.weight
        transposed = hasattr(module, "nf")  # transformers' Conv1D has its weight as [in, out]
        rows = weight.T if transposed else weight
        with torch.no_grad():
            if self.inputs:
                rows[:, self.start : self.stop] *= self.scale
                return
            rows[self.start : self.stop] *= self.scale.view(-1, *(1,) * (weight.dim() - 1))
            bias: Any = module.bias
            if bias is not None:
                bias[self.start : self.stop] *= self.scale
