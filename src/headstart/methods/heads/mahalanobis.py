"""Mahalanobis head (linear discriminant analysis): class means under one shared covariance."""

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


@METHODS.register("mahalanobis")
@dataclass(frozen=True)
class Mahalanobis(ClosedForm):
    """`logit_c = mu_c S^-1 x - mu_c S^-1 mu_c / 2 + log pi_c` with S the shrunk covariance within the classes.

    `S = (1 - a) S_0 + a tr(S_0)/D I`, a by Ledoit & Wolf 2004, "A well-conditioned estimator for large-dimensional
    covariance matrices", because there are few examples and many features. This is linear discriminant analysis.
    Source: Lee et al. 2018, "A Simple Unified Framework for Detecting Out-of-Distribution Samples", section 2.1.
    """

    summary: ClassVar[str] = "class means under one shared covariance, on frozen features"

    def head(self, backbone: Backbone, outputs: int, bias: bool) -> nn.Module:
        return MahalanobisHead(backbone.width(self.head_reads), outputs)


class MahalanobisHead(nn.Linear):
    """A linear layer solved by linear discriminant analysis."""

    def solve(self, features: Tensor, targets: Tensor, task: Task) -> None:
        if not task.exclusive:
            raise MethodError(f"mahalanobis: classes have means, a {task.kind} task has none; use probe.")
        x = features.double()
        counts = torch.bincount(targets, minlength=self.out_features)
        means = torch.stack([x[targets == c].mean(0) if counts[c] else x.mean(0) for c in range(len(counts))])  # [C, D]
        within = x - means[targets]
        if len(x) <= len(counts):  # with one example per class, only the spread between classes is known
            within = x - x.mean(0)
        weight = torch.linalg.solve(shrunk_covariance(within), means.T).T  # [C, D]
        prior = (counts.double().clamp(min=0.5) / counts.sum()).log()
        with torch.no_grad():
            self.weight.copy_(weight)
            self.bias.copy_(prior - 0.5 * (weight * means).sum(1))


def shrunk_covariance(centred: Tensor) -> Tensor:
    """Ledoit-Wolf covariance of centred rows [n, D], by scikit-learn; never singular."""
    from sklearn.covariance import ledoit_wolf

    found, share = ledoit_wolf(centred.cpu().numpy(), assume_centered=True)
    covariance = torch.from_numpy(found).to(centred)
    if share < 1e-6:  # such as of rows that are all the same
        covariance.diagonal().add_(max(1e-6 * float(covariance.diagonal().mean()), 1e-12))
    return covariance
