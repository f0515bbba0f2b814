"""Forecast of a training's cost from a few steps of it."""

from __future__ import annotations

import math
import time
from contextlib import closing
from dataclasses import dataclass, replace

import numpy as np
import torch

from headstart.data.batching import split_by_tokens
from headstart.engine.adapt import Setting, attached, economical, prepare
from headstart.engine.adaptation import Adaptation
from headstart.engine.feed.micro import Micro
from headstart.engine.machine.memory import Room
from headstart.engine.machine.meter import meter
from headstart.engine.optim.optimizers import optimizer_of
from headstart.engine.runtime import Runtime
from headstart.engine.state.snapshots import changing
from headstart.methods.method import Method

DISK = 4e8
"bytes that a disk is assumed to read or write in a second"


@dataclass(frozen=True)
class Cost:
    """Time and memory of trainings of one method, by their length."""

    steps: int
    "steps of a usual training"
    epochs: int
    "epochs of a usual training; validation is evaluated after each"
    step_seconds: float
    "mean over the first and the last phase, if rungs are unfrozen gradually"
    look_seconds: float = 0.0
    fixed_seconds: float = 0.0
    "for attaching the method, and for saving, reloading and comparing its model"
    peak_memory_bytes: int | None = None
    begins_well: bool = False
    "True if the head begins fitted, so that the first steps say little about learning"

    def seconds(self, share: float = 1.0) -> float:
        """Seconds of a training of this share of the usual steps."""
        steps, looks = max(1, math.ceil(share * self.steps)), max(1, math.ceil(share * self.epochs))
        return self.fixed_seconds + steps * self.step_seconds + looks * self.look_seconds

    def measured(self, seconds: float, share: float, step_seconds: float | None = None) -> Cost:
        """What a training of this share that took so many seconds says of others.

        step_seconds: of its steps alone, None if it was too short to tell; all parts are then scaled alike.
        """
        if step_seconds is None:
            pace = seconds / self.seconds(share)
            return replace(
                self, step_seconds=pace * self.step_seconds, look_seconds=pace * self.look_seconds,
                fixed_seconds=pace * self.fixed_seconds,
            )  # fmt: skip
        look = self.look_seconds * step_seconds / self.step_seconds if self.step_seconds else self.look_seconds
        found = replace(self, step_seconds=step_seconds, look_seconds=look, fixed_seconds=0.0)
        return replace(found, fixed_seconds=max(0.0, seconds - found.seconds(share)))


def cost(setting: Setting, method: Method, memory: bool = True) -> Cost:
    """Measures a few steps of a method, with the optimizer at rate 0, so that nothing is learned.

    memory: True to measure peak memory too, by a step with the longest examples. Activations that the steps need are
    cached, as by the training itself, and not counted.
    """
    device = setting.compute.device
    room = Room()
    begun = time.perf_counter()
    with attached(setting, method, seed=0) as job, economical(job), meter(device) as reading, closing(room):
        attaching = time.perf_counter() - begun
        prepare(job, setting)
        optimizer, seconds = optimizer_of(job, device), []
        longest = np.argsort(job.train.costs, kind="stable")[-job.batch_size :]
        cut = split_by_tokens(longest, job.train.costs, job.options.batch_tokens)
        micros = next(iter(job.steps(0, 0)))
        most = next(job.micros([cut])) if memory else micros
        for fraction in (0.0, 1.0) if len(job.plan.timeline) > 1 else (0.0,):
            job.enter(fraction)
            _step(setting.runtime, job, optimizer, most, fraction, room)  # which is the warm-up too
            start = time.perf_counter()
            _step(setting.runtime, job, optimizer, micros, fraction, room)
            seconds.append(time.perf_counter() - start)
        again = job.plan.solved_after  # then each evaluation solves the head
        looked_at = len(job.validation) + (len(job.train) if again else 0)
        step = sum(seconds) / len(seconds)
        look = looked_at / job.batch_size / 3 * step  # forward is a third of a step
        assert job.options.epochs is not None
        weights = sum(value.nbytes for value in changing(job.module, list(job.plan.trained())).values())
        begins_well, epochs = job.plan.begins_well, job.options.epochs
        steps = job.steps_an_epoch() * epochs
    peak = reading.peak_memory_bytes if memory else None
    if peak and device.type == "cpu":
        peak += weights  # for the best weights beside the latest
    fixed = 2 * attaching + 2 * weights / DISK
    return Cost(steps, epochs, step, look, fixed, peak, begins_well)


def _step(
    runtime: Runtime,
    job: Adaptation,
    optimizer: torch.optim.Optimizer,
    micros: list[Micro],
    fraction: float,
    room: Room,
) -> None:
    runtime.backward(job, micros, fraction, 0, room)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    if runtime.device.type == "cuda":
        torch.cuda.synchronize(runtime.device)
