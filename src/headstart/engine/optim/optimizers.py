"""The optimizer of a plan."""

from __future__ import annotations

import torch

from headstart.engine.job import Job
from headstart.engine.optim.rows import RowAdamW


def optimizer_of(job: Job, device: torch.device) -> torch.optim.Optimizer:
    """The optimizer over the plan's groups, at rate 0 at first; biases and norms (one dimension) do not decay.

    AdamW (`RowAdamW`: embedding tables by rows, where their gradients are sparse), or plain SGD.
    """
    parameters = dict(job.module.named_parameters())
    groups = []
    for group in job.plan.groups:
        for decays in (True, False):
            chosen = [parameters[n] for n in group.parameters if (group.decays and parameters[n].dim() > 1) == decays]
            if chosen:
                decay = job.plan.weight_decay if decays else 0.0
                groups.append({"params": chosen, "lr": 0.0, "scale": group.scale, "weight_decay": decay})
    fused = device.type in ("cpu", "cuda")
    return RowAdamW(groups, fused=fused) if job.plan.optimizer == "adamw" else torch.optim.SGD(groups, fused=fused)
