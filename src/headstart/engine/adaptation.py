"""Adaptation: the job that trains a plan on a task."""

from __future__ import annotations

import contextlib
import hashlib
import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from headstart.backbones.backbone import Backbone
from headstart.backbones.ladder.modes import train_above
from headstart.data.batching import balanced_batches, epoch_batches, split_by_tokens
from headstart.engine.cache.cache import Cache
from headstart.engine.feed.feed import Feed, Micro
from headstart.engine.job import Evaluation, Options
from headstart.engine.losses import convex
from headstart.engine.losses.contrastive import contrastive_loss
from headstart.engine.losses.penalties import feature_penalty, weight_penalty
from headstart.engine.machine.dropout import fast_dropout
from headstart.engine.machine.memory import passes
from headstart.engine.machine.precision import Compute
from headstart.engine.machine.recompute import recomputing, run_again
from headstart.methods.plan import Model, Penalty, Plan
from headstart.tasks.task import Task

PIECES = 4
"in which a batch of mixed lengths, longest first, goes through the model, so that little of it is padding"
Score = Callable[[np.ndarray, np.ndarray], tuple[float, float]]
"probabilities [n, outputs] and targets to the metric's value and a score of which more is better"


@dataclass
class Adaptation:
    """A model with its plan applied, and the examples it learns from."""

    module: Model
    backbone: Backbone
    plan: Plan
    task: Task
    train: Feed
    validation: Feed
    options: Options
    compute: Compute
    score: Score
    seed: int
    cache: Cache | None = None
    share: float = 1.0
    "of the steps of a usual training"
    settings: str = ""
    "all settings of the method, beside what the plan has of them"

    def __post_init__(self) -> None:
        plan, asked = self.plan, self.options
        options = replace(asked, batch_size=plan.batch_size or asked.batch_size).sized(len(self.train))
        assert options.epochs is not None
        assert options.patience is not None
        epochs, patience = (max(1, round(n * plan.stretch)) for n in (options.epochs, options.patience))
        patience = min(patience, max(3, math.ceil(patience * self.share)))
        self.options = replace(options, epochs=epochs, patience=patience)
        self.centre, self.spread = 0.0, 1.0
        self._base: dict[str, Tensor] = {}
        self._anchors, self._variance = torch.empty(0), 1.0
        edits = [(edit.path, getattr(edit.build, "keywords", None)) for edit in self.plan.edits]
        plan = replace(plan, edits=())
        run = (self.options, self.compute.precision, self.seed, self.share)
        text = repr((plan, edits, self.settings, self.task, run))
        text += self.backbone.fingerprint + repr((self.train.augment, self.train.content, self.validation.content))
        for part in (self.train, self.validation):
            text += repr((part.examples.ids.tolist(), part.examples.targets.tolist()))
        self.signature = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

    def standardise(self, solved: bool) -> None:
        """From here on, until `settle`, a regression's head predicts `(y - centre) / spread` of the training targets.

        Steps of AdamW have the size of the learning rate: in the units of prices or years they would never arrive.
        solved: whether the head gives the targets already and goes on doing so, in these units.
        """
        head, targets = linear_of(self.module.head), self.train.targets
        if not self.task.numeric or len(targets) < 2:
            return
        # a head without biases can't put a centre back
        self.centre = float(targets.double().mean()) if head.bias is not None else 0.0
        self.spread = float((targets.double() - self.centre).square().mean().sqrt()) or 1.0
        if solved:
            with torch.no_grad():
                head.weight.div_(self.spread)
                if head.bias is not None:
                    head.bias.sub_(self.centre).div_(self.spread)

    def hold(self) -> None:
        """What the plan's penalties hold the model near: its weights and features as they are, those of the base."""
        trained = set(self.plan.trained())
        self._base = {
            name: p.detach().clone()
            for name, p in self.module.named_parameters()
            if name in trained and name.startswith("backbone.")
        }
        if any(penalty.kind == "features" for penalty in self.plan.penalties):
            self._anchors = self.features(self.train)
            self._variance = float(self._anchors.var(dim=0, unbiased=False).mean()) or 1.0

    def _penalty(self, penalty: Penalty, micro: Micro, features: Tensor) -> Tensor:
        """A penalty's part for the examples of a micro-batch, as a sum over them."""
        if penalty.kind == "features":
            anchors = self._anchors[torch.from_numpy(micro.positions).to(self._anchors.device)]
            return feature_penalty(penalty, features, anchors, self._variance)
        parameters = dict(self.module.named_parameters())
        now = {name: parameters[name] for name in self.plan.trained()}
        return len(features) * weight_penalty(penalty, now, self._base)

    def settle(self) -> None:
        """Puts centre and spread into the head, which then gives the targets themselves."""
        head = linear_of(self.module.head)
        with torch.no_grad():
            head.weight.mul_(self.spread)
            if head.bias is not None:
                head.bias.mul_(self.spread).add_(self.centre)
        self.centre, self.spread = 0.0, 1.0

    @property
    def batch_size(self) -> int:
        assert self.options.batch_size is not None
        return self.options.batch_size

    def steps_an_epoch(self) -> int:
        return -(-len(self.train) // self.batch_size)

    def steps(self, epoch: int, start: int) -> Iterator[list[Micro]]:
        costs = self.train.costs
        if self.plan.loss == "contrastive":
            # sorted by length, few examples would meet the same partners in every epoch
            batches = balanced_batches(self.train.examples.targets, self.batch_size, self.seed, epoch)
            ordered = ([b[np.argsort(-costs[b], kind="stable")]] for b in batches[start:])
            return (
                [replace(one, whole=True)]
                for (one,) in self.train.micros(ordered, view=epoch, early=self.compute.early)
            )
        batches = epoch_batches(self.train.lengths, self.batch_size, self.seed, epoch)
        parts = (split_by_tokens(b, costs, self.options.batch_tokens) for b in batches[start:])
        return self.train.micros(parts, view=epoch, early=self.compute.early)

    def enter(self, fraction: float) -> None:
        active = {name for group in self.plan.active(fraction) for name in group.parameters}
        for name, parameter in self.module.named_parameters():
            parameter.requires_grad_(name in active)
        self.module.train()
        train_above(self.module.backbone, self.backbone.ladder, self.plan.cut(fraction))
        for child in self.module.modules():
            if isinstance(child, nn.modules.batchnorm._BatchNorm) and self._keeps_statistics(child):
                child.eval()

    def _keeps_statistics(self, norm: nn.Module) -> bool:
        """A norm that does not train keeps the statistics it was trained with; so does every one under a head that

        was solved, or told in words, for the features that these statistics give.
        """
        parameters = list(norm.parameters(recurse=False))  # not those of what stands beside it
        return self.plan.begins_well or bool(parameters and not any(p.requires_grad for p in parameters))

    def loss(self, micro: Micro, fraction: float) -> Tensor:
        if self.plan.loss == "contrastive":
            return contrastive_loss(self._paired(micro, fraction), micro.targets.to(self.compute.device))
        device = self.compute.device
        batch, targets = self.train.moved(micro.batch, device), micro.targets.to(device, non_blocking=True)
        augment = self.train.augment
        if augment.blends and self.task.exclusive and len(targets) > 1:
            batch["pixel_values"], targets = augment.mix(batch["pixel_values"], targets, self.task.outputs)
        with fast_dropout(self.compute.device):
            features = self._features(self.train, micro.positions, batch, fraction)
        scores: Tensor = self.module.head(features)
        if self.task.numeric:
            targets = (targets - self.centre) / self.spread
        loss = self.task.loss(scores, targets)
        for penalty in self.plan.penalties:
            loss = loss + self._penalty(penalty, micro, features)
        return loss / micro.step

    def recomputing(self) -> AbstractContextManager[None]:
        return recomputing(self.module.backbone, self.backbone.ladder, self.compute.device)

    def _paired(self, micro: Micro, fraction: float) -> Tensor:
        """[B, width] of a batch whose members were not chosen for their like length: in pieces that are.

        Where the batch is more than goes through the model at once, a piece's activations are not kept but computed
        again for its gradient: the loss is of all pairs whatever the memory.
        """
        cost = int(self.train.costs[micro.positions].max()) * len(micro.positions)
        pieces = micro.pieces * -(-cost // self.options.batch_tokens)
        keep = pieces == 1

        def of(piece: Micro) -> Tensor:
            with fast_dropout(self.compute.device):
                return self._features(
                    self.train, piece.positions, self.train.moved(piece.batch, self.compute.device), fraction
                )

        def twice(piece: Micro) -> Tensor:
            again = partial(run_again, self.module, self.compute.device)
            features: Tensor = checkpoint(
                of, piece, use_reentrant=False, context_fn=lambda: (contextlib.nullcontext(), again())
            )
            return features

        parts = micro.cut(max(pieces, PIECES) if "attention_mask" in micro.batch else pieces)
        return torch.cat([of(part) if keep else twice(part) for part in parts])

    def _features(self, feed: Feed, positions: np.ndarray, batch: dict[str, Tensor], fraction: float) -> Tensor:
        """[B, width]; what lies below the cut is taken from the cache where there is one."""
        with self.compute.autocast():
            if self.cache is None:
                features = self.backbone.features(batch, self.plan.reads)
            else:
                cut = self.plan.cut(fraction)
                features = self.cache.features(feed, positions, batch, cut, self.options.batch_tokens, self.plan.reads)
        return features.float()

    def predict(self, feed: Feed, fraction: float = 1.0) -> np.ndarray:
        """Probabilities or values [n, outputs] of a feed, in its order, with the model in eval mode."""
        return self.task.probabilities(self.logits(feed, fraction)).numpy()

    def logits(self, feed: Feed, fraction: float = 1.0) -> Tensor:
        out = torch.empty(len(feed), self.task.outputs)
        for positions, features in self._passes(feed, fraction):
            with torch.no_grad():
                out[torch.from_numpy(positions)] = self.module.head(features).cpu()
        return out * self.spread + self.centre

    def features(self, feed: Feed, fraction: float = 1.0) -> Tensor:
        """[n, width] of the model as it stands, in eval mode."""
        out = torch.empty(len(feed), self.backbone.width(self.plan.reads), device=self.compute.device)
        for positions, features in self._passes(feed, fraction):
            out[torch.from_numpy(positions)] = features
        return out

    def _passes(self, feed: Feed, fraction: float) -> Iterator[tuple[np.ndarray, Tensor]]:
        """Places and features of a whole feed, in batches of like length."""
        self.module.eval()

        def forward(micro: Micro) -> Tensor:
            with torch.no_grad():
                batch = feed.moved(micro.batch, self.compute.device)
                return self._features(feed, micro.positions, batch, fraction)

        for micro, features in passes(feed, self.options.batch_tokens, self.compute.early, forward):
            yield micro.positions, features

    def solve_head(self, fraction: float = 1.0) -> None:
        """The convex head on the training examples' features as they are now."""
        targets = self.train.targets.to(self.compute.device)
        features = self.features(self.train, fraction)
        convex.solve(features, targets, self.task, self.plan.penalty, linear_of(self.module.head))

    def evaluate(self, fraction: float) -> Evaluation | None:
        if not len(self.validation):
            return None
        if self.plan.loss == "contrastive":
            self.solve_head(fraction)
        return self.evaluation(self.logits(self.validation, fraction))

    def evaluation(self, logits: Tensor) -> Evaluation:
        """Of logits for the validation examples."""
        loss = float(self.task.loss(logits, self.validation.targets)) / len(self.validation)
        value, score = self.score(self.task.probabilities(logits).numpy(), self.validation.examples.targets)
        return Evaluation(value, loss, score, logits)


def linear_of(head: nn.Module) -> nn.Linear:
    """The head's last layer: the head itself, or its `linear`."""
    linear = getattr(head, "linear", head)
    assert isinstance(linear, nn.Linear)
    return linear
