"""Label errors (confident learning): confident out-of-fold predictions of a probe that contradict the label."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from headstart.core.seeds import derive
from headstart.judging.checks.calibration import cooled, temperature
from headstart.methods import convex
from headstart.tasks.task import Task

SURE, DOUBTED = 0.9, 0.1
"a label is doubted if another class has at least the first probability, and its class at most the second"
FOLDS = 5


def suspects(features: Tensor, targets: np.ndarray, task: Task, penalty: float, seed: int = 0) -> dict[int, int]:
    """Predicted classes of doubted examples by index, the most certain first.

    features: [n, D]; targets: [n] classes. Each of five folds is predicted by a probe of the other four, with
    calibrated probabilities. Source: Northcutt et al. 2021, "Confident Learning", section 3, with fixed thresholds.
    """
    n = len(targets)
    if not task.exclusive or n < 2 * FOLDS:
        return {}
    order = np.lexsort((np.random.default_rng(derive(seed, "suspects")).random(n), targets))
    fold = np.empty(n, dtype=np.int64)
    fold[order] = np.arange(n) % FOLDS  # stratified: each class is dealt to all folds
    scores = np.zeros((n, task.outputs), dtype=np.float32)
    for part in range(FOLDS):
        held, rest = np.flatnonzero(fold == part), np.flatnonzero(fold != part)
        head = nn.Linear(features.shape[1], task.outputs).to(features.device)
        with torch.enable_grad():
            convex.solve(features[rest], torch.from_numpy(targets[rest]).to(features.device), task, penalty, head)
        with torch.no_grad():
            scores[held] = task.probabilities(head(features[held]).cpu()).numpy()
    scores = cooled(scores, temperature(scores, targets))  # calibrated, because few examples make a probe overconfident
    given = scores[np.arange(n), targets]
    known = np.bincount(targets, minlength=task.outputs)[targets] >= FOLDS  # else a fold's probe may not know the class
    doubted = np.flatnonzero((scores.max(1) >= SURE) & (given <= DOUBTED) & known)
    order = doubted[np.argsort(-scores.max(1)[doubted], kind="stable")]
    return {int(place): int(scores[place].argmax()) for place in order}
