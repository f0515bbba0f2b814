"""A toy method from outside the package: each block's output is scaled by learned gains, one a feature."""

from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from headstart.backbones.backbone import Backbone
from headstart.core.errors import MethodError
from headstart.methods.method import METHODS, GradientMethod, head_group
from headstart.methods.plan import Beside, Edit, Group, Plan


class Gains(Beside):
    """`y = (1 + g) * x` with g [D] zero at first, so that step 0 equals the base."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gains = nn.Parameter(torch.zeros(width))

    def after(self, args: tuple[Any, ...], kwargs: dict[str, Any], output: Tensor) -> Tensor:
        return output * (1 + self.gains)

    def folded(self, module: nn.Module) -> None:
        """Into the weights of the linear layer that it stands beside: the merged model is an ordinary one."""
        assert isinstance(module, nn.Linear)
        with torch.no_grad():
            module.weight.mul_(1 + self.gains[:, None])
            if module.bias is not None:
                module.bias.mul_(1 + self.gains)


@METHODS.register("gain")
@dataclass(frozen=True)
class Gain(GradientMethod):
    """Learned gains on the outputs of the feed-forward layers."""

    summary: ClassVar[str] = "toy: learned gains on the outputs of feed-forward layers"
    base_rate: ClassVar[float] = 1e-2

    lowest: int = 0
    "the lowest rung that gets gains"

    def attach(self, backbone: Backbone, head: nn.Module) -> Plan:
        linear = [site for site in backbone.ladder.sites_of("linear") if site.rung >= self.lowest]
        sites = [s for s in linear if isinstance(backbone.module.get_submodule(s.path), nn.Linear)]
        if not sites:
            raise MethodError("gain: this backbone has no linear layer at or above that rung; choose another method.")
        edits = tuple(Edit(f"backbone.{s.path}", partial(_gains, s.outputs), "gain") for s in sites)
        groups = tuple(Group(s.path, (f"backbone.{s.path}.gain.gains",), rung=s.rung) for s in sites)
        return self.plan(backbone, (*groups, head_group(backbone, head)), edits=edits)


def _gains(width: int, module: nn.Module) -> Gains:
    return Gains(width)
