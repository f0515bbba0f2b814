"""Adaptation: the job that trains a plan on a task."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from headstart.backbones.backbone import Backbone, Batch
from headstart.backbones.inputs.word_marks import hidden_where_unseen
from headstart.backbones.ladder.modes import train_above
from headstart.core.seeds import derive
from headstart.data.batching import balanced_batches, epoch_batches, split_by_tokens
from headstart.engine.cache.cache import Cache
from headstart.engine.feed.feed import Feed
from headstart.engine.feed.micro import Micro
from headstart.engine.feed.streams import dealt, feeds_of
from headstart.engine.job import Evaluation, Loss, Losses, Options, Texts
from headstart.engine.machine.dropout import fast_dropout
from headstart.engine.machine.memory import passes
from headstart.engine.machine.precision import Compute
from headstart.engine.machine.recompute import recomputing
from headstart.engine.pieces import in_pieces
from headstart.engine.pull import Pull
from headstart.engine.signature import signature_of
from headstart.engine.state.snapshots import put_weights, weights
from headstart.methods.plan import Model, Plan
from headstart.methods.solver import Given, Ingredient, Solver, exact
from headstart.methods.term import TRAIN, Outputs, Step
from headstart.tasks.task import Task

Score = Callable[[np.ndarray, np.ndarray], tuple[float, float]]
"scores and targets of predictions to the metric's value and a score of which more is better"
Judged = tuple[Tensor, Texts]
"scores of examples, and their answers in words where the model gives such"


@dataclass
class Adaptation:
    """A model with its plan applied, and its training examples."""

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
    "share of the steps of a usual training"
    settings: str = ""
    "all settings of the method, those that the plan does not show included"
    answer_tokens: ClassVar[int] = 0
    "maximum number of tokens of a generated answer"

    def __post_init__(self) -> None:
        plan, asked = self.plan, self.options
        options = replace(asked, batch_size=plan.batch_size or asked.batch_size).sized(len(self.train))
        assert options.epochs is not None
        assert options.patience is not None
        epochs, patience = (max(1, round(n * plan.stretch)) for n in (options.epochs, options.patience))
        patience = min(patience, max(3, math.ceil(patience * self.share)))
        self.options = replace(options, epochs=epochs, patience=patience)
        self.centre, self.spread = 0.0, 1.0
        self.trained = self.plan.trained()
        self.feeds = feeds_of(self.plan, self.train, self.backbone)
        self.whole = any(term.whole for term in self.plan.terms)
        self.kept: dict[str, dict[str, Tensor]] = {}
        "tensors that each term keeps of the model before the first step"
        self._pull = Pull(self.plan.terms)
        self.signature = signature_of(self)

    def hold(self) -> None:
        """Lets terms that hold the model near its base keep tensors of the present model."""
        self.kept = {term.name: term.begin(self) for term in self.plan.terms}

    def features_of(self, stream: str) -> Tensor:
        return self.features(self.feeds[stream])

    @property
    def batch_size(self) -> int:
        assert self.options.batch_size is not None
        return self.options.batch_size

    def steps_an_epoch(self) -> int:
        return -(-len(self.train) // self.batch_size)

    def steps(self, epoch: int, start: int) -> Iterator[list[Micro]]:
        costs, budget = self.train.costs, self.options.batch_tokens
        if self.plan.balanced:
            batches = balanced_batches(self.train.examples.targets, self.batch_size, self.seed, epoch)
        else:
            batches = epoch_batches(self.train.lengths, self.batch_size, self.seed, epoch)
        if self.whole:
            steps = [[batch[np.argsort(-costs[batch], kind="stable")]] for batch in batches]
        else:
            steps = [split_by_tokens(batch, costs, budget) for batch in batches]
        return self.micros(steps, epoch, start)

    def micros(self, steps: Sequence[Sequence[np.ndarray]], epoch: int = 0, start: int = 0) -> Iterator[list[Micro]]:
        """Parts of an epoch's steps from `start` on, each with its examples of the plan's streams."""
        early, whole, sizes = self.compute.early, self.whole, [[len(part) for part in step] for step in steps]
        found: dict[str, Iterator[list[Micro]]] = {}
        for stream in self.plan.streams:
            feed, view = self.feeds[stream.name], derive(self.seed, "stream", stream.name, epoch)
            places = steps if stream.inputs is None else dealt(feed, sizes, self.seed, stream.name, epoch)
            found[stream.name] = feed.micros(places[start:], view=view, early=early)
        for parts in self.train.micros(steps[start:], view=epoch, early=early):
            along = {name: next(micros) for name, micros in found.items()}
            yield [
                replace(part, whole=whole, streams={name: micros[i] for name, micros in along.items()})
                for i, part in enumerate(parts)
            ]

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
        """True for a batch norm that does not train, and for every one under a head that begins fitted, because the
        head was fitted to the features that these statistics give."""
        parameters = list(norm.parameters(recurse=False))  # without those of an adapter beside it
        return self.plan.begins_well or bool(parameters and not any(p.requires_grad for p in parameters))

    def losses(self, micro: Micro, fraction: float) -> Losses:
        terms = [(term, weight) for term in self.plan.terms if (weight := term.weight(fraction))]
        seen, targets = self._seen(micro, fraction, {name for term, _ in terms for name in term.streams})
        parts = {TRAIN: micro, **micro.streams}
        places = {name: torch.from_numpy(parts[name].positions).to(self.compute.device) for name in seen}
        found = {}
        for term, weight in terms:
            at = Step(fraction, self.module, self.trained, targets, places, self.kept.get(term.name, {}), self.task)
            value = term.loss(seen, at)
            if self._pull.awaited(term):
                self._pull.check(term, value, seen, int(self.train.units[micro.positions].sum()), micro.step)
            found[term.name] = Loss(weight * value if weight != 1 else value, 1 if term.whole else micro.step)
        return found

    def _seen(self, micro: Micro, fraction: float, streams: Collection[str]) -> tuple[dict[str, Outputs], Tensor]:
        """Outputs for the part's examples of these streams, and the training examples' targets."""
        device, augment, found = self.compute.device, self.train.augment, dict[str, Outputs]()
        targets = micro.targets.to(device, non_blocking=True)
        for name, part in {TRAIN: micro, **micro.streams}.items():
            if name not in streams:
                continue
            feed = self.feeds[name]
            if self.whole:
                found[name] = self._paired(feed, replace(part, pieces=micro.pieces), fraction)
                continue
            batch = feed.moved(part.batch, device)
            if name == TRAIN and augment.blends and self.task.exclusive and len(targets) > 1:
                batch["pixel_values"], targets = augment.mix(batch["pixel_values"], targets, self.task.outputs)
            found[name] = self._learning(feed, part, batch, fraction)
        if self.task.numeric:
            targets = (targets - self.centre) / self.spread
        return found, targets

    def recomputing(self) -> AbstractContextManager[None]:
        return recomputing(self.module.backbone, self.backbone.ladder, self.compute.device)

    def _learning(self, feed: Feed, micro: Micro, batch: Batch, fraction: float) -> Outputs:
        with fast_dropout(self.compute.device):
            return self._outputs(feed, micro.positions, batch, fraction)

    def _paired(self, feed: Feed, micro: Micro, fraction: float) -> Outputs:
        device, cost = self.compute.device, int(feed.costs[micro.positions].max()) * len(micro.positions)

        def of(piece: Micro) -> Tensor:
            return self._learning(feed, piece, feed.moved(piece.batch, device), fraction).features

        features = in_pieces(micro, cost, self.options.batch_tokens, of, self.module, device)
        return Outputs(features, self.module.head)

    def _outputs(self, feed: Feed, positions: np.ndarray, batch: Batch, fraction: float) -> Outputs:
        """Outputs for these examples of a feed; activations below the cut come from the cache if there is one."""
        tokens, reads = self.options.batch_tokens, self.plan.reads
        if self.cache is None:
            read = partial(self.backbone.features, reads=reads)
        else:
            cut = self.plan.cut(fraction)
            read = partial(self.cache.features, feed, positions, cut=cut, batch_tokens=tokens, reads=reads)
        with self.compute.autocast():
            found: Outputs = self.module(batch, read)
        return found

    def predict(self, feed: Feed, fraction: float = 1.0) -> np.ndarray:
        """Probabilities or values [n, outputs] of a feed, in its order, with the model in eval mode."""
        return self.task.probabilities(self.judged(feed, fraction)[0]).numpy()

    def judged(self, feed: Feed, fraction: float = 1.0) -> Judged:
        """What the metrics of a feed are computed from."""
        return self.logits(feed, fraction), None

    def respond(self, feed: Feed, position: int) -> None:
        """Answers one example, for its latency."""
        batch = feed.moved(feed.batch(np.array([position])), self.compute.device)
        with torch.no_grad(), self.compute.autocast():
            self.module.head(self.backbone.features(batch, self.plan.reads).float()).cpu()

    def logits(self, feed: Feed, fraction: float = 1.0) -> Tensor:
        out = torch.full((*feed.blank, self.task.outputs), -torch.inf)
        for micro, outputs in self._passes(feed, fraction):
            with torch.no_grad():
                scores = hidden_where_unseen(outputs.scores, micro.batch).cpu()
            out[torch.from_numpy(micro.positions), : scores.shape[1]] = scores
        return out * self.spread + self.centre

    def features(self, feed: Feed, fraction: float = 1.0) -> Tensor:
        """[R, width] features of the present model for all rows of the feed, in eval mode."""
        out = torch.empty(int(feed.rows.sum()), self.backbone.width(self.plan.reads), device=self.compute.device)
        for micro, outputs in self._passes(feed, fraction):
            feed.put_rows(out, micro.positions, outputs.features)
        return out

    def _passes(self, feed: Feed, fraction: float) -> Iterator[tuple[Micro, Outputs]]:
        """Batches and outputs of a whole feed, in batches of like length."""
        self.module.eval()

        def forward(micro: Micro) -> Outputs:
            with torch.no_grad():
                batch = feed.moved(micro.batch, self.compute.device)
                return self._outputs(feed, micro.positions, batch, fraction)

        yield from passes(feed, self.options.batch_tokens, self.compute.early, forward)

    def solve(
        self,
        solver: Solver,
        train: Feed,
        features: Callable[[], Tensor] | None = None,
        ingredients: Sequence[Ingredient] = (),
        fraction: float = 1.0,
    ) -> tuple[str, ...]:
        """Lets a solver find the head on the examples of a feed; returns its notes.

        features: computes those that it reads; None for those of the present model.
        """
        device, where, names = self.compute.device, exact(self.compute.device), list(self.trained)
        made = features or partial(self.features, train, fraction)
        given = Given(
            self.task, self.backbone, self.module.head, train.row_targets.to(where), lambda: made().to(where),
            ingredients, partial(weights, self.module, names), partial(put_weights, self.module),
            partial(self.evaluate, fraction),
        )  # fmt: skip
        notes = solver.solve(given)
        self.module.head.to(device)
        return notes

    def evaluate(self, fraction: float) -> Evaluation | None:
        if not len(self.validation):
            return None
        if self.plan.solved_after:
            self.solve(self.plan.solved_after, self.train, fraction=fraction)
        return self.evaluation(*self.judged(self.validation, fraction))

    def evaluation(self, logits: Tensor, texts: Texts = None) -> Evaluation:
        """Metric and loss of logits for the validation examples. texts: answers in words."""
        loss = float(self.task.loss(logits, self.validation.targets)) / self.validation.units.sum()
        found = self.task.predictions(self.validation.examples, self.task.probabilities(logits).numpy(), texts)
        value, score = self.score(found.scores, found.targets)
        return Evaluation(value, loss, score, logits, texts)
