"""Labels that may be wrong: what a probe that never saw an example is sure of, against what the label says."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from headstart.core.seeds import derive
from headstart.engine.losses import convex
from headstart.judging.checks.calibration import cooled, temperature
from headstart.tasks.task import Task

SURE, DOUBTED = 0.9, 0.1
"probability of another class from which, and of the given one up to which, a label is doubted"
FOLDS = 5


def suspects(features: Tensor, targets: np.ndarray, task: Task, penalty: float, seed: int = 0) -> dict[int, int]:
    """Places of doubted examples to the class that the others speak for, the most certain first.

    features: [n, D]; targets: [n] classes. Each of five parts is judged by a probe of the other four, whose
    probabilities are calibrated. Source: Northcutt et al. 2021, "Confident Learning", section 3, with fixed thresholds.
    """
    n = len(targets)
    if not task.exclusive or n < 2 * FOLDS:
        return {}
    order = np.lexsort((np.random.default_rng(derive(seed, "suspects")).random(n), targets))
    fold = np.empty(n, dtype=np.int64)
    fold[order] = np.arange(n) % FOLDS  # each class is dealt to all parts
    scores = np.zeros((n, task.outputs), dtype=np.float32)
    for part in range(FOLDS):
        held, rest = np.flatnonzero(fold == part), np.flatnonzero(fold != part)
        head = nn.Linear(features.shape[1], task.outputs).to(features.device)
        with torch.enable_grad():
            convex.solve(features[rest], torch.from_numpy(targets[rest]).to(features.device), task, penalty, head)
        with torch.no_grad():
            scores[held] = task.probabilities(head(features[held]).cpu()).numpy()
    scores = cooled(scores, temperature(scores, targets))  # few examples make a probe surer than it is right
    given = scores[np.arange(n), targets]
    known = np.bincount(targets, minlength=task.outputs)[targets] >= FOLDS  # else its judges may not know its class
    doubted = np.flatnonzero((scores.max(1) >= SURE) & (given <= DOUBTED) & known)
    order = doubted[np.argsort(-scores.max(1)[doubted], kind="stable")]
    return {int(place): int(scores[place].argmax()) for place in order}
