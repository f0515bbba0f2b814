"""System: a common interface to the base and to tuned models."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from headstart.artifacts.artifact import passages_of, reloaded
from headstart.artifacts.predictor import batches, logits
from headstart.backbones.backbone import Backbone, Reads
from headstart.core.passage import Passage
from headstart.core.words import Words
from headstart.data.examples import Examples, Input
from headstart.engine.cache.cache import Cache, all_features
from headstart.engine.feed.feed import Feed
from headstart.engine.job import Options
from headstart.engine.losses.temperature import cool, temperature
from headstart.engine.machine.precision import Compute
from headstart.engine.viewed import viewed
from headstart.methods import convex
from headstart.methods.heads.probe import Probe
from headstart.tasks.task import Task

MOST_PASSAGES = 300
"maximum number of training passages of a probe on their tokens: about 100 MB of features of a small encoder"


@dataclass(frozen=True)
class System:
    """Features and predictions of a model, base or tuned.

    head and reads: for the target task; a base without a head gets a probe trained on the same data.
    """

    backbone: Backbone
    compute: Compute
    task: Task
    head: nn.Module
    reads: Reads
    kept: dict[str, np.ndarray] = field(default_factory=dict)
    "cache of scores that several checks need"
    order: tuple[int, ...] | None = None
    "columns of the head's scores in the order of the task's labels, if they differ"

    def features(self, inputs: Sequence[Input], reads: Reads = "top") -> Tensor:
        """[n, D] features of the whole forward, in the order of the inputs."""
        return _features(self.backbone, self.compute, inputs, reads)

    def scores(self, inputs: Sequence[Input]) -> np.ndarray:
        """[n, outputs] probabilities or values of the target task."""
        found = logits(self.backbone, self.head, self.reads, self.compute, self.task, inputs)
        scores: np.ndarray = self.task.probabilities(found).numpy()
        return scores if self.order is None else scores[..., self.order]

    def probed(self, train: Examples, inputs: Sequence[Input], task: Task) -> np.ndarray:
        """[n, outputs] predictions of a probe for another task, solved on this model's features at the top."""
        head = solved(*_rows(self.backbone, self.compute, train, "top"), task)
        found: np.ndarray = task.probabilities(logits(self.backbone, head, "top", self.compute, task, inputs)).numpy()
        return found

    def nearest(self, inputs: Sequence[Input]) -> np.ndarray:
        """[n] index of the nearest other input by cosine similarity of the top features; ties go to the first."""
        unit = nn.functional.normalize(self.features(inputs), dim=1)  # [n, D]
        found = []
        for start in range(0, len(unit), 1024):
            near = unit[start : start + 1024] @ unit.T  # [rows, n]
            rows = torch.arange(len(near), device=near.device)
            near[rows, rows + start] = -2.0
            found.append(near.argmax(1).cpu())
        return torch.cat(found).numpy()


def base_system(
    backbone: Backbone, compute: Compute, train: Examples, task: Task, validation: Examples | None = None
) -> System:
    """The frozen base with a probe on the features of all rungs, like the method `probe` with its defaults.

    validation: examples for fitting the probe's temperature, as for tuned models.
    """
    reads: Reads = "top" if task.unsolved else Probe().head_reads
    train = _some(train) if task.unsolved else train
    head = solved(*_rows(backbone, compute, train, reads), task)
    if validation is not None and len(validation):
        held = logits(backbone, head, reads, compute, task, validation.inputs())
        cool(head, temperature(held, torch.from_numpy(validation.targets), task))
    return System(backbone, compute, task, head, reads)


@contextlib.contextmanager
def tuned_system(folder: str | Path, backbone: Backbone, compute: Compute) -> Iterator[System]:
    """A saved model on its base, inside the context."""
    with reloaded(folder, backbone) as (artifact, model, plan):
        if plan.view is not None:
            backbone = viewed(backbone, plan.view, compute, passages_of(folder))
        yield System(backbone, compute, artifact.task, model.head, plan.reads)


def _some(train: Examples) -> Examples:
    """Evenly chosen passages, because a head that is solved on all their tokens reads them at once."""
    step = -(-len(train) // MOST_PASSAGES)
    return train.take(np.arange(0, len(train), step))


def solved(features: Tensor, targets: Tensor, task: Task) -> nn.Linear:
    """A probe's head on these features [R, D]."""
    head = nn.Linear(features.shape[1], task.outputs).to(features.device)
    convex.solve(features, targets.to(features.device), task, Probe.penalty, head)
    return head


def _rows(backbone: Backbone, compute: Compute, examples: Examples, reads: Reads) -> tuple[Tensor, Tensor]:
    """Features [R, D] and targets of what a probe is solved on: the examples, or the words of all of them."""
    if not len(examples) or not isinstance(examples.inputs([0])[0], (Words, Passage)):
        return _features(backbone, compute, examples.inputs(), reads), torch.from_numpy(examples.targets)
    feed, cache = Feed("examples", examples, backbone), Cache(backbone, compute)
    try:
        return all_features(cache, feed, Options.batch_tokens, reads), feed.row_targets
    finally:
        cache.close()


def _features(backbone: Backbone, compute: Compute, inputs: Sequence[Input], reads: Reads) -> Tensor:
    found: list[Tensor | None] = [None] * len(inputs)
    with torch.no_grad():
        for places, batch in batches(backbone, inputs):
            with compute.autocast():
                rows = backbone.features(batch, reads).float()
            for place, row in zip(places, rows):
                found[place] = row
    return torch.stack([row for row in found if row is not None])
