"""Trace: the course of a training, with its best evaluation."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from headstart.core.records.training import Point, Share
from headstart.engine.job import Evaluation
from headstart.engine.state.checkpoint import State

GROWING = ("losses", "rates")
"fields that grow with the steps; a checkpoint keeps them as tensors, because its JSON header has a size limit"


@dataclass
class Trace:
    """Losses, rates and evaluations of a training."""

    status: str = "ok"
    "`ok` or `diverged: …`; a training that diverged has the weights of its last good state"
    steps: int = 0
    seconds: float = 0.0
    earlier: float = 0.0
    "seconds before the checkpoint from which this training resumed; part of `seconds`"
    best_epoch: float | None = None
    best_value: float | None = None
    best_loss: float | None = None
    best_score: float = -math.inf
    best_outputs: Tensor | None = None
    "outputs of the best evaluation; None if the training resumed after it"
    best_texts: tuple[str, ...] | None = None
    curve: list[Point] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    "training loss of each step"
    rates: list[float] = field(default_factory=list)
    "learning rate of each step"
    interpolation: tuple[Share, ...] = ()
    notes: tuple[str, ...] = ()
    paused: bool = False
    "True if the budget's steps ended the training early: the model then has its latest weights, not its best"

    def improves(self, found: Evaluation | None) -> bool:
        """True for a higher score, or the same score at a lower loss; without validation the latest is the best."""
        if found is None:
            return True
        if found.score != self.best_score:
            return found.score > self.best_score
        return self.best_loss is None or found.loss < self.best_loss

    def take(self, found: Evaluation | None, epoch: float) -> None:
        """Makes this evaluation the best."""
        self.best_epoch = epoch
        self.best_value, self.best_loss = (found.value, found.loss) if found else (None, None)
        self.best_score = found.score if found else 0.0
        self.best_outputs, self.best_texts = (found.outputs, found.texts) if found else (None, None)

    def kept(self) -> tuple[dict[str, Any], State]:
        """Facts and tensors for a checkpoint."""
        facts = {**self.__dict__, "curve": [point.to_json() for point in self.curve], "best_outputs": None}
        facts["best_texts"] = None
        return facts, {name: torch.tensor(facts.pop(name), dtype=torch.float64) for name in GROWING}

    @classmethod
    def restored(cls, facts: dict[str, Any], grown: State) -> Trace:
        """The inverse of `kept`."""
        lists = {name: values.tolist() for name, values in grown.items()}
        curve = [Point.from_json(point) for point in facts["curve"]]
        return cls(**{**facts, **lists, "curve": curve, "paused": False})


def smoothed(losses: list[float], beta: float = 0.9) -> list[float]:
    """Exponential moving average with bias correction: `m_i = beta m + (1 - beta) l`, over `1 - beta^(i+1)`."""
    mean, out = 0.0, []
    for i, loss in enumerate(losses):
        mean = beta * mean + (1 - beta) * loss
        out.append(mean / (1 - beta ** (i + 1)))
    return out


def rising(losses: list[float], factor: float) -> bool:
    """True if the smoothed loss is above this many times its minimum, after at least ten steps."""
    smooth = smoothed(losses)
    return len(smooth) > 10 and smooth[-1] > factor * min(smooth)
