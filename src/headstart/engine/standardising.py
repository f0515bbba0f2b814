"""Standardised targets of a regression: while it trains, its head predicts them with mean 0 and spread 1."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from headstart.methods.solver import linear_of

if TYPE_CHECKING:
    from headstart.engine.adaptation import Adaptation


def standardise(job: Adaptation, solved: bool) -> None:
    """Until `settle`, a regression's head predicts `(y - centre) / spread` of the training targets.

    AdamW's steps have the size of the learning rate, which in the units of prices or years is too small to arrive.
    solved: True if the head predicts the targets already; it is then rescaled to these units.
    """
    targets = job.train.targets
    if not job.task.numeric or len(targets) < 2:
        return
    head = linear_of(job.module.head)
    # because a head without biases can't add the centre again
    job.centre = float(targets.double().mean()) if head.bias is not None else 0.0
    job.spread = float((targets.double() - job.centre).square().mean().sqrt()) or 1.0
    if solved:
        with torch.no_grad():
            head.weight.div_(job.spread)
            if head.bias is not None:
                head.bias.sub_(job.centre).div_(job.spread)


def settle(job: Adaptation) -> None:
    """Folds centre and spread into the head, which then predicts the targets themselves."""
    if not job.task.numeric:
        return
    head = linear_of(job.module.head)
    with torch.no_grad():
        head.weight.mul_(job.spread)
        if head.bias is not None:
            head.bias.mul_(job.spread).add_(job.centre)
    job.centre, job.spread = 0.0, 1.0
