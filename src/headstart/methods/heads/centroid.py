"""Nearest centroid (prototypes): each class is the mean of its examples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn

from headstart.backbones.backbone import Backbone
from headstart.core.errors import MethodError
from headstart.methods.method import METHODS, ClosedForm

if TYPE_CHECKING:
    from headstart.tasks.task import Task


@METHODS.register("centroid")
@dataclass(frozen=True)
class Centroid(ClosedForm):
    """`logit_c = (2 mu_c x - |mu_c|^2) / (2 sigma^2)`: the posterior of equally likely spherical Gaussians.

    sigma^2 is the variance within the classes, averaged over the features; with one example per class, the variance
    between the examples. Source: Snell et al. 2017, "Prototypical Networks for Few-shot Learning", section 2.3.
    """

    summary: ClassVar[str] = "the class whose mean is nearest, on frozen features"

    def head(self, backbone: Backbone, outputs: int, bias: bool) -> nn.Module:
        return CentroidHead(backbone.width(self.head_reads), outputs)


class CentroidHead(nn.Linear):
    """A linear layer solved in closed form from class means."""

    def solve(self, features: Tensor, targets: Tensor, task: Task) -> None:
        if not task.exclusive:
            raise MethodError(f"centroid: classes have means, a {task.kind} task has none; use probe.")
        x = features.double()
        means = torch.stack(
            [x[targets == c].mean(0) if (targets == c).any() else x.mean(0) for c in range(self.out_features)]
        )  # [C, D]
        within = x - means[targets]
        freedom = max(1, len(x) - self.out_features)
        variance = float(within.square().sum() / (freedom * x.shape[1]))
        if variance <= 0:  # one example per class
            variance = max(float((x - x.mean(0)).square().mean()), 1e-12)
        with torch.no_grad():
            self.weight.copy_(means / variance)
            self.bias.copy_(-means.square().sum(1) / (2 * variance))
