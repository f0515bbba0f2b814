"""Temperature scaling: calibration of a classifier, with the temperature folded into its head."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import torch
from scipy.optimize import minimize_scalar
from torch import Tensor, nn

from headstart.tasks.task import Task

COLDEST, HOTTEST = math.log(1e-2), math.log(1e4)
"bounds of log T"


def temperature(logits: Tensor, targets: Tensor, task: Task) -> float:
    """T that minimises `sum loss(logits / T) + (log T)^2 / 2` over held-out examples; 1 without any.

    The loss is cross-entropy, or for multi-label the mean binary cross-entropy over the labels: classes and the order
    of their scores stay, as does which labels are above one half. The second term, a standard normal prior on log T,
    keeps a few examples that are all right from making the model certain. Regression has no temperature, and
    neither has an answer in words.
    logits: [n, outputs]; targets: [n] classes or [n, outputs] of 0 and 1.
    Source: Guo et al. 2017, "On Calibration of Modern Neural Networks", section 4.2.
    """
    logits, targets = task.known(logits, targets)
    if task.numeric or task.own_head or not len(logits) or not bool(logits.isfinite().all()):
        return 1.0
    x, y = logits.double().cpu(), targets.cpu()
    y = y.double() if y.is_floating_point() else y
    plain = replace(task, class_weights=())

    def loss(log_t: float) -> float:
        return float(plain.loss(x / math.exp(log_t), y)) + log_t**2 / 2

    found = minimize_scalar(loss, bounds=(COLDEST, HOTTEST), method="bounded", options={"xatol": 1e-4})
    return float(np.exp(found.x))


def cool(head: nn.Module, t: float) -> bool:
    """Divides the head's scores by T, in its weights; returns False if the head has no such weights.

    A head that is not linear, and has no last layer called `linear`, takes part with a method `cool(t)`.
    """
    if callable(own := getattr(head, "cool", None)):
        own(t)
        return True
    linear = getattr(head, "linear", head)
    if not isinstance(linear, nn.Linear):
        return False
    with torch.no_grad():
        for parameter in linear.parameters(recurse=False):
            parameter.div_(t)
    return True
