"""Visual prompt tuning: learned virtual patches in a vision transformer."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from headstart.backbones.backbone import Backbone
from headstart.backbones.ladder.outputs import outputs_of
from headstart.core.errors import MethodError
from headstart.methods.method import METHODS, GradientMethod, head_group
from headstart.methods.plan import Beside, Edit, Group, Plan


@METHODS.register("vpt")
@dataclass(frozen=True)
class VisualPrompt(GradientMethod):
    """`[x_0; P_0]` enters the first block (shallow); deep: each block i replaces the previous rows by its P_i.

    The p rows follow the patches, so that a class token stays first, and are removed after the last block.
    Source: Jia et al. 2022, "Visual Prompt Tuning", section 3.2.
    """

    summary: ClassVar[str] = "learned virtual patches in a vision transformer"
    base_rate: ClassVar[float] = 1e-2

    tokens: int = 8
    "number p of virtual patches per block"
    deep: bool = True
    "VPT-deep: new virtual patches for each block, instead of one set for the first"

    def attach(self, backbone: Backbone, head: nn.Module) -> Plan:
        if self.tokens < 1:
            raise MethodError(f"vpt: tokens is {self.tokens}, but has to be at least 1.")
        rungs = sorted({site.rung for site in backbone.ladder.sites_of("attention")})
        blocks = [(rung, backbone.ladder.rungs[rung].modules[-1]) for rung in rungs]
        seen = outputs_of(backbone, [path for _, path in blocks]) if blocks else {}
        even = len(seen) == len(blocks) and len({(out.size, out.dims) for out in seen.values()}) == 1
        if not backbone.reads_images or not blocks or not even or next(iter(seen.values())).dims != 3:
            raise MethodError(
                "vpt: this backbone is no vision transformer with one sequence of patches [B, T, D] from block to "
                "block; train prompt or prefix on texts, conv_adapter on convolutions, lora on the others."
            )
        width = next(iter(seen.values())).size
        edits, groups = [], []
        for number, (rung, path) in enumerate(blocks):
            adds, last = self.deep or number == 0, number + 1 == len(blocks)
            build = partial(_patches, self.tokens if adds else 0, width, self.deep and number > 0, self.tokens, last)
            edits.append(Edit(f"backbone.{path}", build, "prompt"))
            if adds:
                groups.append(Group(f"vpt:{number}", (f"backbone.{path}.prompt.patches",), rung=rung))
        return self.plan(backbone, (*groups, head_group(backbone, head)), edits=tuple(edits))


def _patches(tokens: int, width: int, replaces: bool, taken: int, last: bool, module: nn.Module) -> VirtualPatches:
    like = next(module.parameters())
    return VirtualPatches(tokens, width, replaces, taken, last).to(like.device, like.dtype)


class VirtualPatches(Beside):
    """Appends patches [p, D] to a block's input; removes `taken` rows before it (deep) or after the last block."""

    def __init__(self, tokens: int, width: int, replaces: bool, taken: int, last: bool) -> None:
        super().__init__()
        self.replaces, self.taken, self.last = replaces, taken, last
        if tokens:
            self.patches = nn.Parameter(torch.empty(tokens, width).uniform_(-1, 1) * (6.0 / (2 * width)) ** 0.5)

    def before(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        if not hasattr(self, "patches"):
            return args, kwargs
        name = None if args else next(k for k, v in kwargs.items() if isinstance(v, Tensor))
        x: Tensor = args[0] if name is None else kwargs[name]
        if self.replaces:
            x = x[:, : -self.taken]  # [B, T, D]
        x = torch.cat([x, self.patches.to(x.dtype).expand(len(x), -1, -1)], dim=1)  # [B, T + p, D]
        return ((x, *args[1:]), kwargs) if name is None else (args, {**kwargs, name: x})

    def after(self, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> Any:
        if not self.last:
            return output
        if isinstance(output, tuple):
            return (output[0][:, : -self.taken], *output[1:])
        return output[:, : -self.taken]  # [B, T, D]
