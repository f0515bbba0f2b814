"""Runtime: where a training runs. The loop asks it for gradients, for sums over processes, and who writes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from headstart.core.seeds import derive
from headstart.engine.feed.micro import Micro
from headstart.engine.job import Job, share_of
from headstart.engine.machine.memory import Room, ran_out
from headstart.engine.machine.precision import Compute
from headstart.engine.machine.seeding import set_seed


@dataclass(frozen=True)
class Runtime:
    """One process on one device. Several processes need a subclass that deals a step's parts and sums for real."""

    compute: Compute
    rank: int = 0
    "number of this process"

    @property
    def device(self) -> torch.device:
        return self.compute.device

    @property
    def writes(self) -> bool:
        """True for the one process that writes checkpoints and shows progress."""
        return self.rank == 0

    def sum(self, tensors: Iterable[Tensor]) -> None:
        """Adds up each tensor over all processes, in place. One process has the whole sum already."""

    def backward(self, job: Job, micros: list[Micro], fraction: float, step: int, room: Room) -> Tensor:
        """Loss of this process's parts of a step, with their gradients accumulated; no sum over processes yet.

        Where memory runs out, the step is repeated in smaller pieces, and later steps keep them.
        """
        while True:
            set_seed(self.device, derive(job.seed, "step", step))
            try:
                loss = torch.zeros((), device=self.device)
                for micro in micros:
                    for piece in micro.split(room.parts):
                        loss += _learned(job, piece, fraction)
                return loss
            except RuntimeError as error:
                if not ran_out(error) or not room.make(job, max(len(micro.positions) for micro in micros)):
                    raise
            job.module.zero_grad(set_to_none=True)
            if self.device.type == "cuda":
                torch.cuda.empty_cache()


def _learned(job: Job, piece: Micro, fraction: float) -> Tensor:
    """Loss of a part, with its gradients added. Its graph is freed here, even if the backward pass fails."""
    part = share_of(job.losses(piece, fraction))
    part.backward()
    return part.detach()
