"""Solvers: how a head is found without steps, on what the model gives for all training examples."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol

import torch
from torch import Tensor, nn

from headstart.backbones.backbone import Backbone
from headstart.core.errors import MethodError

if TYPE_CHECKING:
    from headstart.tasks.task import Task


class Judged(Protocol):
    """What validation says of the present model; a larger `score` is better."""

    @property
    def score(self) -> float: ...


@dataclass(frozen=True)
class Ingredient:
    """A finished training of the same comparison."""

    name: str
    score: float
    loss: float
    seconds: float
    "that its training took"
    load: Callable[[], dict[str, Tensor]]
    "its weights, by names of the model's"


@dataclass(frozen=True)
class Given:
    """What a solver works on and with.

    targets: [n] or [n, …] of the training examples, or [R] of all their words, on a device with float64.
    features: makes [n, width] or [R, width] of what the head reads of them, there too.
    ingredients: other trainings of the comparison.
    weights, put: copies of all that the plan may change, and the way of such a copy back into the model.
    judge: looks at the validation examples; None if there are none.
    """

    task: Task
    backbone: Backbone
    head: nn.Module
    targets: Tensor
    features: Callable[[], Tensor]
    ingredients: Sequence[Ingredient]
    weights: Callable[[], dict[str, Tensor]]
    put: Callable[[Mapping[str, Tensor]], None]
    judge: Callable[[], Judged | None]

    @property
    def linear(self) -> nn.Linear:
        return linear_of(self.head)


@dataclass(frozen=True)
class Solver:
    """A way to a head without steps. A method brings its own in its own file."""

    reads_features: ClassVar[bool] = True
    "False if it works without the features of the training examples"
    learns: ClassVar[bool] = True
    "False if no parameter is learned from targets: nothing counts as trained"
    averages: ClassVar[bool] = False
    "True if its linear head may go into an average of weights with those of other trainings"
    calibrates: ClassVar[bool] = True
    "False if its scores are frequencies already, which get no temperature"
    of_head: ClassVar[bool] = True
    "False if it finds no new head, so that it also stands on the model's own"
    combines: ClassVar[bool] = False
    "True if it averages the ingredients, whose seconds then count as its own"

    def check(self, task: Task) -> None:
        """Raises `MethodError` for a task that it has no meaning for."""
        if self.of_head and task.unsolved:
            raise MethodError(task.unsolved)
        if self.of_head and task.own_head:
            raise MethodError(
                "it solves a new head on the features, and here the model's own head over its vocabulary answers; "
                "train lora or full"
            )

    def solve(self, given: Given) -> tuple[str, ...]:
        """Puts its solution into the head, or the model; returns notes for the record."""
        raise NotImplementedError(f"{type(self).__name__} does not say how it solves")


@dataclass(frozen=True)
class SolvesItself(Solver):
    """The head's own `head.solve(features, targets, task)`: class means, neighbours."""

    def check(self, task: Task) -> None:
        super().check(task)
        if not task.pooled:
            raise MethodError("its head keeps or averages whole examples, and here each word or token has a state")

    def solve(self, given: Given) -> tuple[str, ...]:
        given.head.solve(given.features(), given.targets, given.task)  # type: ignore[operator]
        return ()


def exact(device: torch.device) -> torch.device:
    """The device itself, or the CPU in place of one that has no float64: Apple's GPUs (MPS)."""
    return torch.device("cpu") if device.type == "mps" else device


def linear_of(head: nn.Module) -> nn.Linear:
    """The head's last layer: the head itself, or its `linear`."""
    linear = getattr(head, "linear", head)
    assert isinstance(linear, nn.Linear)
    return linear
