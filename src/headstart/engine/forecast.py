"""What a training will take: measured on two steps, before any is begun."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass

import numpy as np
import torch

from headstart.data.batching import split_by_tokens
from headstart.engine.adapt import Setting, attached, economical
from headstart.engine.adaptation import Adaptation
from headstart.engine.feed import Micro
from headstart.engine.memory import Room, backward
from headstart.engine.meter import meter
from headstart.engine.optimizers import optimizer_of
from headstart.engine.snapshots import changing
from headstart.methods.method import Method

DISK = 4e8
"bytes a second that a disk is taken to read and write"


@dataclass(frozen=True)
class Cost:
    seconds: float
    "of one whole training, validation after each epoch included"
    peak_memory_bytes: int | None
    look_seconds: float = 0.0
    "of one look at validation"
    steady: bool = True
    "whether all its steps do the same work: none unfreezes as it goes"
    state_bytes: int = 0
    "on disk while it is paused"
    pause_seconds: float = 0.0
    "of taking it up and pausing it again: the model is attached, looked at, and its state read and written"


def cost(setting: Setting, method: Method) -> Cost:
    """Of a method that trains by steps. Nothing is learned: the optimizer runs at rate 0.

    Where the plan unfreezes as it goes, the mean of its first and its last phase. What the steps need of the cache is
    filled, as the training itself would, and not counted.
    """
    device = setting.compute.device
    room = Room()
    begun = time.perf_counter()
    with attached(setting, method, seed=0) as job, economical(job), meter(device) as reading, closing(room):
        attaching = time.perf_counter() - begun
        if job.plan.penalties:
            job.hold()
        optimizer, seconds = optimizer_of(job), []
        longest = np.argsort(job.train.costs, kind="stable")[-job.batch_size :]
        cut = split_by_tokens(longest, job.train.costs, job.options.batch_tokens)
        most = next(iter(job.train.micros([cut], view=0)))
        for fraction in (0.0, 1.0) if len(job.plan.timeline) > 1 else (0.0,):
            job.enter(fraction)
            _step(job, optimizer, most, fraction, room)  # the most memory, and warm-up
            micros = next(iter(job.steps(0, 0)))
            start = time.perf_counter()
            _step(job, optimizer, micros, fraction, room)
            seconds.append(time.perf_counter() - start)
        again = job.plan.loss == "contrastive"  # whose head is solved for each evaluation
        looked_at = len(job.validation) + (len(job.train) if again else 0)
        step = sum(seconds) / len(seconds)
        look = looked_at / job.batch_size / 3 * step  # forward is a third of a step
        assert job.options.epochs is not None
        whole = job.options.epochs * (job.steps_an_epoch() * step + look)
        weights = sum(value.nbytes for value in changing(job.module, list(job.plan.trained())).values())
        moments = sum(value.nbytes for state in optimizer.state.values() for value in state.values())
        state = (3 if job.plan.average else 2) * weights + moments  # the latest, the best, and their average
    peak = reading.peak_memory_bytes and reading.peak_memory_bytes + weights  # the best are kept beside the latest
    pause = attaching + look + 2 * state / DISK
    return Cost(whole, peak, look, len(job.plan.timeline) < 2, state, pause)


def _step(job: Adaptation, optimizer: torch.optim.Optimizer, micros: list[Micro], fraction: float, room: Room) -> None:
    backward(job, micros, fraction, 0, room)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    if job.compute.device.type == "cuda":
        torch.cuda.synchronize(job.compute.device)
