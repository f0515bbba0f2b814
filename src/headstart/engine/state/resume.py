"""Resuming: what a checkpoint keeps of a training, and the way back into it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from torch import Tensor

from headstart.engine.state.checkpoint import Checkpoint, optimizer_state, restore_optimizer
from headstart.engine.state.snapshots import changing, put_weights
from headstart.engine.trace import Trace

if TYPE_CHECKING:
    from headstart.engine.training import Training


def keep(training: Training, checkpoint: Checkpoint) -> None:
    """Writes the training as it is between two steps."""
    training.clock()
    facts, grown = training.trace.kept()
    states: dict[str, Mapping[str, Tensor]] = {
        "model": changing(training.job.module, training.names),
        "optimizer": optimizer_state(training.optimizer),
        "trace": grown,
    }
    if training.trace.best_epoch is not None:  # else the best weights are the first ones
        states["best"] = training.best
    if training.average:
        states["average"] = training.average.state
    kept = {"signature": training.job.signature, "step": training.step, "parts": training.room.parts, "trace": facts}
    checkpoint.write(states, kept)


def resume(training: Training, checkpoint: Checkpoint) -> None:
    """Continues where an earlier process stopped the same job, if one did."""
    job = training.job
    saved = checkpoint.read(job.signature)
    if saved is None:
        checkpoint.tell_others(job.signature, training.progress)
        return
    states, facts = saved
    put_weights(job.module, states["model"])
    if "best" in states:
        training.best.renew(states["best"])
    restore_optimizer(training.optimizer, states.get("optimizer", {}))
    training.step, training.room.parts = facts["step"], facts.get("parts", 1)
    training.trace = Trace.restored(facts["trace"], states.get("trace", {}))
    if training.average:
        training.average.put(states["average"])
        training.average.look(training.trace.curve)
    if 0 < training.step < training.total:
        training.progress.say(f"goes on after step {training.step:,} of {training.total:,}")


def last_good(training: Training, checkpoint: Checkpoint | None) -> None:
    """Puts the best weights into the module; before the first evaluation, those of the checkpoint."""
    if training.trace.best_epoch is None and checkpoint and (saved := checkpoint.read(training.job.signature)):
        put_weights(training.job.module, saved[0]["model"])
    else:
        training.put_best()
