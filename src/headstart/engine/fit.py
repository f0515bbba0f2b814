"""fit: the one training loop."""

from __future__ import annotations

import contextlib

from headstart.core.interrupts import Interrupt, patient
from headstart.core.progress import Progress, Silent
from headstart.engine.budget import Budget
from headstart.engine.job import Job
from headstart.engine.runtime import Runtime
from headstart.engine.state.checkpoint import Checkpoint
from headstart.engine.state.resume import keep, last_good, resume
from headstart.engine.trace import Trace
from headstart.engine.training import Training
from headstart.engine.unread import Diverged


def fit(
    job: Job,
    budget: Budget,
    runtime: Runtime,
    *,
    checkpoint: Checkpoint | None = None,
    progress: Progress | None = None,
) -> Trace:
    """Trains `job.module` by its plan and leaves the weights in it that were best on validation.

    Gradients of a step are summed over its parts, clipped, and applied with the plan's groups and schedule. Each step
    seeds the generators from (seed, step), so that a training that was stopped and resumes from its checkpoint, or was
    paused by `budget.steps`, reaches the same weights. A loss that is not finite ends the training with the last good
    weights. If the plan asks for an average of the weights, the average is judged and kept.
    Raises `MethodError` if something that the plan put into the model gets no gradient: it is not applied.
    """
    progress = progress if progress and runtime.writes else Silent()
    training = Training(job, budget, runtime, progress)
    if checkpoint:
        resume(training, checkpoint)
    training.begin()
    with patient() as interrupt, contextlib.closing(training.room):
        try:
            if training.step == 0 and job.plan.begins_well:
                training.judge()  # because the solved head is a candidate too
            while training.goes_on and _epoch(training, checkpoint, interrupt):
                training.judge()
                if interrupt.asked or (checkpoint and checkpoint.due):
                    _keep(training, checkpoint)
                    _stop(interrupt)
        except Diverged as event:
            training.trace.status = str(event)
            training.optimizer.zero_grad(set_to_none=True)
            last_good(training, checkpoint)
        else:
            _end(training, checkpoint)
    return _traced(training, checkpoint)


def _epoch(training: Training, checkpoint: Checkpoint | None, interrupt: Interrupt) -> bool:
    """Takes the rest of the present epoch. False if the training stops inside it."""
    for micros in training.rest_of_epoch():
        training.take(micros)
        due = interrupt.asked or (checkpoint is not None and checkpoint.due)
        if due or training.unread.full:
            training.read()
        if due and training.inside:
            _keep(training, checkpoint)
            _stop(interrupt)
        if training.stops:
            break
    training.read()
    training.trace.steps = training.step
    return not training.inside or training.step >= training.total


def _keep(training: Training, checkpoint: Checkpoint | None) -> None:
    if checkpoint and training.runtime.writes:
        keep(training, checkpoint)


def _stop(interrupt: Interrupt) -> None:
    """Lets an interrupt through, now that the checkpoint is written."""
    if interrupt.asked:
        raise KeyboardInterrupt


def _end(training: Training, checkpoint: Checkpoint | None) -> None:
    """Puts the best weights into the module, or pauses with the latest."""
    trace = training.trace
    trace.paused = training.end <= training.step < training.total and not training.tired
    if trace.paused:
        _keep(training, checkpoint)
    elif trace.best_epoch is not None:
        training.put_best()


def _traced(training: Training, checkpoint: Checkpoint | None) -> Trace:
    trace = training.trace
    trace.steps = training.step
    if not (trace.paused and checkpoint):  # then the checkpoint has the time already, without that of its writing
        training.clock()
    trace.notes += training.notes()
    return trace
