"""Contrastive training of two towers with GradCache, in batches of any size."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from headstart.backbones.backbone import Batch
from headstart.backbones.inputs.image_preparation import BATCH_TOKENS, ImagePreparation
from headstart.backbones.loaders.two_towers import TwoTowers
from headstart.core.seeds import derive
from headstart.engine.feed.feed import Feed
from headstart.engine.feed.micro import Micro
from headstart.engine.job import Evaluation, Loss, Losses
from headstart.engine.machine.dropout import fast_dropout
from headstart.engine.machine.precision import Compute
from headstart.engine.machine.recompute import run_again
from headstart.engine.machine.seeding import set_seed
from headstart.methods.plan import Group, Plan, Schedule

AT_ONCE = 256
"maximum number of held-out pairs per forward pass"


class Objective(Protocol):
    """Part of an objective that the job uses."""

    @property
    def lock(self) -> str: ...

    @property
    def batch_size(self) -> int: ...

    @property
    def chunk(self) -> int: ...

    @property
    def learning_rate(self) -> float: ...

    @property
    def weight_decay(self) -> float: ...

    @property
    def warmup(self) -> float: ...

    @property
    def largest(self) -> float: ...

    def loss(self, images: Tensor, texts: Tensor, log_scale: Tensor) -> Tensor: ...


class PairTraining:
    """Each step contrasts every image and text of a batch of pairs with all others.

    images, texts: feeds of the training and of the held-out pairs, row by row.
    """

    def __init__(
        self, towers: TwoTowers, train: tuple[Feed, Feed], held: tuple[Feed, Feed], objective: Objective,
        compute: Compute, seed: int, told: str,
    ) -> None:  # fmt: skip
        self.towers, self.train, self.held = towers, train, held
        self.objective, self.compute, self.seed = objective, compute, seed
        self.module: nn.Module = towers.module.to(compute.device)
        locked = f"{objective.lock}."
        names = tuple(name for name, _ in self.module.named_parameters() if not name.startswith(locked))
        self.plan = Plan(
            groups=(Group("all", names, rung=0),),
            learning_rate=objective.learning_rate,
            weight_decay=objective.weight_decay,
            schedule=Schedule("cosine", warmup=objective.warmup),
        )
        self.batch_size = min(objective.batch_size, len(train[0]))
        self.signature = hashlib.blake2b(repr((objective, seed, told)).encode(), digest_size=16).hexdigest()

    def steps_an_epoch(self) -> int:
        return max(1, len(self.train[0]) // self.batch_size)

    def steps(self, epoch: int, start: int) -> Iterator[list[Micro]]:
        order = np.random.default_rng(derive(self.seed, "pairs", epoch)).permutation(len(self.train[0]))
        for step in range(start, self.steps_an_epoch()):
            positions = order[step * self.batch_size : (step + 1) * self.batch_size]
            none = torch.zeros(len(positions), dtype=torch.long)
            yield [Micro(positions, {}, none, len(positions), source=epoch, whole=True)]

    def enter(self, fraction: float) -> None:
        self.module.train()
        trained = set(self.plan.trained())
        for name, parameter in self.module.named_parameters():
            parameter.requires_grad_(name in trained)
        if self.objective.lock != "none":
            getattr(self.module, self.objective.lock).eval()

    def _batches(self, positions: np.ndarray, view: int | None) -> tuple[Batch, Batch]:
        images, texts = self.train
        device = self.compute.device
        return tuple(  # type: ignore[return-value]
            {name: value.to(device) for name, value in feed.batch(positions, v).items()}
            for feed, v in ((images, view), (texts, None))
        )

    def _encoded(self, batches: tuple[Batch, Batch]) -> tuple[Tensor, Tensor]:
        with self.compute.autocast(), fast_dropout(self.compute.device):
            return self.towers.encode_images(batches[0]), self.towers.encode_texts(batches[1])

    def losses(self, micro: Micro, fraction: float) -> Losses:
        chunk = min(self.objective.chunk, max(2, -(-len(micro.positions) // micro.pieces)))
        scale = self._scale()
        # of similar size, because batch norm fails on a single image
        parts = np.array_split(micro.positions, -(-len(micro.positions) // chunk))
        if len(parts) == 1:
            return {"pairs": Loss(self.objective.loss(*self._encoded(self._batches(parts[0], micro.source)), scale))}
        return {"pairs": Loss(self._in_chunks(parts, micro.source, scale))}

    def _scale(self) -> Tensor:
        """The logarithm of the scale, clamped to its maximum after a step.

        Beyond the maximum the loss is constant, so that no gradient would lead back.
        """
        scale = self.module.logit_scale
        assert isinstance(scale, Tensor)
        with torch.no_grad():
            scale.clamp_(max=self.objective.largest)
        return scale

    def _in_chunks(self, parts: list[np.ndarray], view: int, scale: Tensor) -> Tensor:
        """GradCache: the loss of the whole batch, with the towers' gradients already set; `backward` adds the scale's.

        First all features without a graph, then the loss's gradient for each, then the towers again chunk by chunk,
        with the same dropout. Source: Gao et al. 2021, "Scaling Deep Contrastive Learning Batch Size under Memory
        Limited Setup" (GradCache), section 3.2.
        """
        features = []
        for number, part in enumerate(parts):
            set_seed(self.compute.device, derive(self.seed, "chunk", view, int(part[0]), number))
            with torch.no_grad():
                features.append(self._encoded(self._batches(part, view)))
        images, texts = (torch.cat(one).requires_grad_() for one in zip(*features))
        slopes = torch.autograd.grad(self.objective.loss(images, texts, scale.detach()), (images, texts))
        at = 0
        for number, part in enumerate(parts):
            set_seed(self.compute.device, derive(self.seed, "chunk", view, int(part[0]), number))  # the same dropout
            with run_again(self.module, self.compute.device):
                again = self._encoded(self._batches(part, view))
            found = [
                (mine * slope[at : at + len(part)]).sum() for mine, slope in zip(again, slopes) if mine.requires_grad
            ]
            torch.stack(found).sum().backward()
            at += len(part)
        return self.objective.loss(images.detach(), texts.detach(), scale)

    def recomputing(self) -> None:
        """Reduces the chunks to a pair at a time, if memory is short."""
        return

    def features(self) -> tuple[Tensor, Tensor]:
        """[n, D] features of the held-out pairs by the current weights."""
        self.module.eval()
        return tuple(  # type: ignore[return-value]
            encoded(feed, encode, self.compute)
            for feed, encode in zip(self.held, (self.towers.encode_images, self.towers.encode_texts))
        )

    def evaluate(self, fraction: float) -> Evaluation | None:
        images, texts = self.features()
        scale = self._scale()
        batches = -(-len(images) // self.batch_size)  # of similar size, because a single pair has no negatives
        with torch.no_grad():
            losses = [
                self.objective.loss(*both, scale)
                for both in zip(images.tensor_split(batches), texts.tensor_split(batches))
            ]
        loss = float(torch.stack(losses).mean())
        return Evaluation(loss, loss, -loss)


def encoded(feed: Feed, encode: Callable[[Batch], Tensor], compute: Compute) -> Tensor:
    """[n, D] features in the order of the feed."""
    found = []
    preparation = feed.preparation
    together = preparation.at_once(BATCH_TOKENS, AT_ONCE) if isinstance(preparation, ImagePreparation) else AT_ONCE
    for at in range(0, len(feed), together):
        batch = feed.batch(np.arange(at, min(at + together, len(feed))))
        with torch.no_grad(), compute.autocast():
            found.append(encode({name: value.to(compute.device) for name, value in batch.items()}))
    return torch.cat(found)
