"""Averages of the weights over a training's steps (EMA, NT-ASGD), judged and kept instead of the latest weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import torch
from torch import Tensor

from headstart.core.records.training import Point
from headstart.engine.state.checkpoint import State
from headstart.methods.plan import Plan


class Average(Protocol):
    """Weights that are judged and kept instead of the latest."""

    state: State

    def update(self, weights: Mapping[str, Tensor], step: int) -> None:
        """After each step; 1 is the first."""

    def look(self, curve: Sequence[Point]) -> None:
        """After each evaluation."""

    def put(self, state: Mapping[str, Tensor]) -> None:
        """Continues from a kept average."""


def average_of(plan: Plan, start: Mapping[str, Tensor]) -> Average | None:
    """The plan's average of the steps' weights, if it asks for one."""
    if plan.tail_average:
        return TailAverage(plan.tail_average, start)
    return MovingAverage(plan.average, start) if plan.average else None


class MovingAverage:
    """`a <- d a + (1 - d) w` after step t, with `d = min(decay, (1 + t) / (10 + t))`; integers are those of w.

    The smaller d of the first steps lets the random start be forgotten. Statistics of batch norms are averaged too.

    Sources: Szegedy et al. 2016, "Rethinking the Inception Architecture", section 8; the first steps' d is that of
    TensorFlow's `ExponentialMovingAverage`. torch's AveragedModel has no such first steps, and copies the whole model
    instead of what training changes (`benchmarks/cases/libraries.py`).
    """

    def __init__(self, decay: float, start: Mapping[str, Tensor]) -> None:
        self.decay = decay
        self.state: State = {name: value.detach().clone() for name, value in start.items()}

    @torch.no_grad()
    def update(self, weights: Mapping[str, Tensor], step: int) -> None:
        """step: 1 for the first."""
        share = 1 - min(self.decay, (1 + step) / (10 + step))
        for name, value in self.state.items():
            if value.is_floating_point():
                value.lerp_(weights[name], share)
            else:
                value.copy_(weights[name])

    def look(self, curve: Sequence[Point]) -> None:
        pass

    def put(self, state: Mapping[str, Tensor]) -> None:
        for name, value in self.state.items():
            value.copy_(state[name])


class TailAverage:
    """The weights as they are, until validation does not improve any more; from then on their mean over the steps.

    It begins after evaluation t where its loss is above the lowest of those up to t - `patience` - 1.
    Source: Merity et al. 2018, "Regularizing and Optimizing LSTM Language Models", algorithm 1 (NT-ASGD).
    """

    def __init__(self, patience: int, start: Mapping[str, Tensor]) -> None:
        self.patience, self.since = patience, -1
        self.state: State = {name: value.detach().clone() for name, value in start.items()}

    def look(self, curve: Sequence[Point]) -> None:
        losses = [point.validation_loss for point in curve if point.validation_loss is not None]
        for t in range(self.patience + 1, len(losses)):
            if losses[t] > min(losses[: t - self.patience]):
                self.since = curve[t].step
                return

    @torch.no_grad()
    def update(self, weights: Mapping[str, Tensor], step: int) -> None:
        share = 1.0 if self.since < 0 else 1 / (step - self.since)
        for name, value in self.state.items():
            if share < 1 and value.is_floating_point():
                value.lerp_(weights[name], share)
            else:
                value.copy_(weights[name])

    def put(self, state: Mapping[str, Tensor]) -> None:
        for name, value in self.state.items():
            value.copy_(state[name])
