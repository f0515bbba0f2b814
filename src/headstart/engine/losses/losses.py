"""The loss of a task: sums over examples, so that cutting a batch into parts changes nothing."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from headstart.tasks.task import Task


def task_loss(task: Task, scores: Tensor, targets: Tensor) -> Tensor:
    """Sum over the batch of each example's loss, a scalar.

    scores: [B, outputs]. targets: [B] class indices or [B, C] class shares (mixup) for `single_label`: weighted
    cross-entropy; [B, C] zeros and ones for `multi_label`: mean binary cross-entropy over the labels; [B] for
    `regression`: half the squared error.
    """
    weights = scores.new_tensor(task.class_weights) if task.class_weights else None
    if task.kind == "single_label":
        return F.cross_entropy(scores, targets, weight=weights, reduction="sum")
    if task.kind == "multi_label":
        each = F.binary_cross_entropy_with_logits(scores, targets, weight=weights, reduction="none")
        return each.mean(dim=1).sum()
    return 0.5 * (scores[:, 0] - targets).square().sum()


def probabilities(task: Task, scores: Tensor) -> Tensor:
    """Softmax, sigmoid, or the value itself, [B, outputs]."""
    if task.kind == "single_label":
        return scores.softmax(dim=-1)
    return scores.sigmoid() if task.kind == "multi_label" else scores
