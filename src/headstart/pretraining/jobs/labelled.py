"""Supervised pretraining: a job over one or several labelled sources, with a head each."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from headstart.backbones.backbone import Backbone, Batch
from headstart.backbones.inputs.image_preparation import BATCH_TOKENS
from headstart.core.seeds import derive
from headstart.data.batching import epoch_batches
from headstart.engine.feed.feed import Feed
from headstart.engine.feed.micro import Micro
from headstart.engine.job import Evaluation, Loss, Losses
from headstart.engine.machine.memory import passes
from headstart.engine.machine.precision import Compute
from headstart.engine.machine.recompute import recomputing
from headstart.methods.plan import Group, Model, Plan, Schedule
from headstart.methods.term import Outputs
from headstart.tasks.task import Task


class Objective(Protocol):
    """Part of an objective that the job uses."""

    @property
    def batch_size(self) -> int: ...

    @property
    def weight_decay(self) -> float: ...

    @property
    def warmup(self) -> float: ...

    @property
    def ema(self) -> float: ...

    def rate(self, kind: str) -> float: ...

    def loss(self, scores: Tensor, targets: Tensor) -> Tensor: ...


@dataclass(frozen=True)
class Source:
    """A labelled source. fingerprint: of its data."""

    name: str
    task: Task
    train: Feed
    validation: Feed
    fingerprint: str = ""


class Pretraining:
    """Each step runs a batch of one source through the backbone and the head of the source."""

    def __init__(
        self, backbone: Backbone, sources: Sequence[Source], objective: Objective, compute: Compute, seed: int
    ) -> None:
        self.backbone, self.sources, self.objective = backbone, sources, objective
        self.compute, self.seed = compute, seed
        torch.manual_seed(derive(seed, "heads"))
        heads = nn.ModuleList(nn.Linear(backbone.dimension, source.task.outputs) for source in sources)
        self.module: nn.Module = nn.ModuleDict({"backbone": backbone.module, "heads": heads}).to(compute.device)
        self.heads = heads
        names = tuple(name for name, _ in self.module.named_parameters())
        added = {f"backbone.{name}" for name in _added(backbone.module)}
        self.plan = Plan(
            groups=(
                Group("all", tuple(name for name in names if name not in added), rung=0),
                Group("added", tuple(name for name in names if name in added), rung=0, decays=False),
            ),
            learning_rate=objective.rate(backbone.kind),
            weight_decay=objective.weight_decay,
            schedule=Schedule("cosine", warmup=objective.warmup),
            average=objective.ema,
        )
        start = [(s.name, len(s.train), s.task.labels, s.fingerprint) for s in sources]
        text = repr((objective, seed, start, backbone.fingerprint))
        self.signature = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

    @property
    def batch_size(self) -> int:
        return self.objective.batch_size

    def _batches(self, epoch: int) -> list[tuple[int, np.ndarray]]:
        """The epoch's batches of all sources, in one random order."""
        batches = [
            (number, batch)
            for number, source in enumerate(self.sources)
            for batch in epoch_batches(
                source.train.lengths, self.objective.batch_size, derive(self.seed, number), epoch
            )
        ]
        order = np.random.default_rng(derive(self.seed, "order", epoch)).permutation(len(batches))
        return [batches[i] for i in order]

    def steps_an_epoch(self) -> int:
        return sum(-(-len(source.train) // self.batch_size) for source in self.sources)

    def steps(self, epoch: int, start: int) -> Iterator[list[Micro]]:
        for number, positions in self._batches(epoch)[start:]:
            (micro,) = next(self.sources[number].train.micros([[positions]], view=epoch))
            yield [replace(micro, source=number)]

    def enter(self, fraction: float) -> None:
        self.module.train()

    def _scores(self, source: int, batch: Batch) -> Tensor:
        with self.compute.autocast():
            outputs: Outputs = Model(self.backbone.module, self.heads[source])(batch, self.backbone.features)
        return outputs.scores

    def losses(self, micro: Micro, fraction: float) -> Losses:
        source = self.sources[micro.source]
        batch, targets = source.train.moved(micro.batch, self.compute.device), micro.targets.to(self.compute.device)
        augment = source.train.augment
        if augment.blends and len(targets) > 1:
            batch["pixel_values"], targets = augment.mix(batch["pixel_values"], targets, source.task.outputs)
        return {"classes": Loss(self.objective.loss(self._scores(micro.source, batch), targets), micro.step)}

    def recomputing(self) -> AbstractContextManager[None]:
        return recomputing(self.backbone.module, self.backbone.ladder, self.compute.device)

    def accuracies(self) -> list[float]:
        """Accuracy on the validation examples of each source."""
        return [accuracy for accuracy, _ in self._judged()]

    def _judged(self) -> list[tuple[float, float]]:
        """Accuracy and cross entropy on the validation examples of each source."""
        self.module.eval()
        found = []
        with torch.no_grad():
            for number, source in enumerate(self.sources):
                right, loss = 0, 0.0
                forward = functools.partial(self._judged_scores, number)
                for micro, scores in passes(source.validation, BATCH_TOKENS, False, forward):
                    right += int((scores.argmax(1) == micro.targets).sum())
                    loss += float(F.cross_entropy(scores, micro.targets, reduction="sum"))
                found.append((right / len(source.validation), loss / len(source.validation)))
        return found

    def _judged_scores(self, number: int, micro: Micro) -> Tensor:
        batch = self.sources[number].validation.moved(micro.batch, self.compute.device)
        return self._scores(number, batch).cpu()

    def evaluate(self, fraction: float) -> Evaluation | None:
        """Means over the sources, including the loss, because accuracy does not show NaN scores."""
        accuracy, loss = np.mean(self._judged(), axis=0).tolist()
        return Evaluation(accuracy, loss, accuracy)


def _added(module: nn.Module) -> set[str]:
    """Names of additive parameters (positions and tokens) by the library's declaration, because weight decay would only
    pull them to zero."""
    declared: Any = getattr(module, "no_weight_decay", set)
    return set(declared())
