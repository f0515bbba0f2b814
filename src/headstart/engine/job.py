"""Job: what the training loop needs to know of a training, and no more."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor, nn

from headstart.data.images.augmentation import parts_of
from headstart.engine.feed.micro import Micro
from headstart.methods.plan import Plan


@dataclass(frozen=True)
class Options:
    """How training runs, whatever the method."""

    epochs: int | None = None
    "passes over the training examples; left out: chosen from their number, 3 to 40, for about 500 steps"
    batch_size: int | None = None
    "examples a step; left out: 32, or fewer for less than 320 examples"
    batch_tokens: int = 8192
    """most tokens (images: one for each 196 pixels) that go through the model at once; a step is cut into parts to keep
    to it, which changes nothing but the statistics of batch norms"""
    patience: int | None = None
    "epochs without improvement on validation after which training stops; left out: a third of the epochs, at least 3"
    clip: float = 1.0
    "largest norm of the gradient; longer ones are scaled down"
    augment: str = "none"
    """augmentation of images in training: none, light (shift), strong (flip, randaugment, erase), mixup or cutmix
    (shift, and pairs of images blended), or parts with commas between: crop, shift, flip, randaugment, colour, erase,
    mixup, cutmix; `strong,no-flip` leaves one out"""
    word_dropout: float = 0.0
    "augmentation of texts in training: probability with which a word is left out"
    cache: bool = True
    "keep the activations below frozen rungs, at most cache_bytes of them"
    cache_bytes: int = 4 << 30
    "room for kept activations, on disk or in a GPU's memory"

    def __post_init__(self) -> None:
        parts_of(self.augment)

    def sized(self, examples: int) -> Options:
        """Options with epochs, batch size and patience resolved for this number of training examples."""
        from dataclasses import replace

        batch = self.batch_size or (32 if examples >= 320 else max(8, examples // 10))
        steps = -(-examples // batch)
        epochs = self.epochs or min(40, max(3, round(500 / steps)))
        return replace(self, epochs=epochs, batch_size=batch, patience=self.patience or max(3, epochs // 3))


Texts = tuple[str, ...] | None


@dataclass(frozen=True)
class Evaluation:
    """Result on the validation examples; a larger `score` is better."""

    value: float
    "the metric itself"
    loss: float
    score: float
    outputs: Tensor | None = None
    "[n, outputs] scores of the validation examples, if the job keeps them"
    texts: Texts = None
    "[n] their answers in words, of a model that gives such"


@dataclass(frozen=True)
class Loss:
    """One named loss of a part of a step, as a sum, so that a step in parts equals the step in one."""

    total: Tensor
    over: float = 1.0
    "divisor of the whole step's sum: its examples, words or tokens; 1 for the loss of a whole batch"


Losses = Mapping[str, Loss]
"losses of a part of a step, by name"


def share_of(losses: Losses) -> Tensor:
    """The part's share of the step's loss, a scalar; sums with the same divisor are added before the division."""
    sums: dict[float, Tensor] = {}
    for loss in losses.values():
        sums[loss.over] = sums[loss.over] + loss.total if loss.over in sums else loss.total
    first, *others = (total if over == 1 else total / over for over, total in sums.items())
    return sum(others, start=first)


class Job(Protocol):
    """A training, as the loop sees it."""

    plan: Plan
    seed: int
    signature: str
    "identifies the job, so that only the same job resumes from its checkpoint"

    @property
    def module(self) -> nn.Module: ...

    def steps_an_epoch(self) -> int: ...

    def steps(self, epoch: int, start: int) -> Iterator[list[Micro]]:
        """Steps of an epoch from `start` on, each as the parts that go through the model at once."""

    def enter(self, fraction: float) -> None:
        """Begins a phase: only its groups require gradients, and all modules are in the right mode."""

    def losses(self, micro: Micro, fraction: float) -> Losses:
        """The part's losses by name; the step's loss is the sum of the shares of its parts."""

    def recomputing(self) -> AbstractContextManager[None] | None:
        """Context of gradient checkpointing; None if the job has none."""

    def evaluate(self, fraction: float) -> Evaluation | None:
        """Evaluates on validation; None without validation examples."""
