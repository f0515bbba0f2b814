"""Terms: the losses that a plan adds up, and the streams of data that they read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, Protocol

import torch
from torch import Tensor, nn

from headstart.backbones.inputs.windows import at_signs

if TYPE_CHECKING:
    from headstart.tasks.task import Task

TRAIN = "train"
"name of the stream of training examples, which every plan has"


@dataclass(frozen=True)
class Outputs:
    """Features and scores of a batch.

    features: [B, width] pooled, [B, W, width] of each word, or [S, width] of the places whose next token is learned, in
        fp32, as the head reads them.
    """

    features: Tensor
    head: nn.Module = field(repr=False)
    signs: Tensor | None = None
    "of passages, the signs that each place covers"

    @cached_property
    def scores(self) -> Tensor:
        """[B, outputs], [B, W, outputs], [S, outputs], or of passages [B, C, outputs] by sign, in fp32; computed when
        they are first read."""
        with torch.autocast(self.features.device.type, enabled=False):
            found: Tensor = self.head(self.features)
        return at_signs(found, self.signs)

    def summed(self, loss: Callable[[Tensor, Tensor], Tensor], targets: Tensor) -> Tensor:
        """`loss(scores, targets)`; a head over a large vocabulary makes its scores in parts."""
        in_parts = getattr(self.head, "summed", None)
        return loss(self.scores, targets) if in_parts is None else in_parts(self.features, targets, loss)


@dataclass(frozen=True)
class Stream:
    """Further data that terms read beside the training examples: as many of it in each step.

    inputs: texts, or pictures as encoded bytes, without labels; dealt in random order, anew when all have been seen.
        None: the training examples of the step again, under other augmentation and dropout (a second view).
    """

    name: str
    inputs: tuple[str | bytes, ...] | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Step:
    """Where in the training a term is asked, and what belongs to the outputs that it sees.

    targets: [B] of the training examples, or [B, C] shares of classes where examples were blended; [S] ids of the
        answers' tokens where the head is that over the vocabulary.
    places: by stream, [B] places of the examples in it.
    kept: what the term's `begin` returned.
    """

    fraction: float
    module: nn.Module
    trained: tuple[str, ...]
    targets: Tensor
    places: Mapping[str, Tensor]
    kept: Mapping[str, Tensor]
    task: Task


class Beginning(Protocol):
    """The model before its first step, as `Term.begin` gets it."""

    @property
    def module(self) -> nn.Module: ...

    trained: tuple[str, ...]
    "names of the parameters that train at some time"

    def features_of(self, stream: str) -> Tensor:
        """[n, width] of all examples of a stream, in eval mode, without a gradient."""


@dataclass(frozen=True)
class Term:
    """One addend of a plan's loss. A method brings its own in its own file; it is data, and stores nothing."""

    name: ClassVar[str]
    streams: ClassVar[tuple[str, ...]] = (TRAIN,)
    "names of the streams that it reads"
    whole: ClassVar[bool] = False
    "True if the loss is of all examples of a step together: it is then a mean over the step and not a sum"
    on_weights: ClassVar[bool] = False
    "True if it reads the weights themselves, so that embedding tables get dense gradients"
    pulls_at_once: ClassVar[bool] = True
    "False if its gradient at the backbone is zero until the model has moved; else a zero at its first step is an error"

    def weight(self, fraction: float) -> float:
        """Factor of its loss at this fraction of the steps; a term of weight 0 is not computed."""
        return 1.0

    def check(self, task: Task) -> None:
        """Raises `MethodError` for a task that the term has no meaning for."""

    def begin(self, given: Beginning) -> dict[str, Tensor]:
        """Tensors that it keeps of the model before the first step, by any names."""
        return {}

    def loss(self, seen: Mapping[str, Outputs], at: Step) -> Tensor:
        """A scalar: a sum over the examples seen, or the loss of the whole step where `whole`."""
        raise NotImplementedError(f"{type(self).__name__} has no loss")


@dataclass(frozen=True)
class TaskTerm(Term):
    """The task's own loss on the training examples."""

    name: ClassVar[str] = "task"
    pulls_at_once: ClassVar[bool] = False  # a head that begins solved may leave nothing to learn

    def loss(self, seen: Mapping[str, Outputs], at: Step) -> Tensor:
        return seen[TRAIN].summed(at.task.loss, at.targets)
