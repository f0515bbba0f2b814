"""The one training loop."""

from __future__ import annotations

import contextlib
import math
import statistics
import time
from dataclasses import dataclass, field

import torch
from torch import Tensor

from headstart.core.errors import MethodError
from headstart.core.interrupts import Interrupt, patient
from headstart.core.progress import Progress, Silent
from headstart.core.records.comparison import Point, Share
from headstart.engine.job import Job
from headstart.engine.machine.memory import Room, backward
from headstart.engine.optim.optimizers import optimizer_of
from headstart.engine.optim.rows import clip
from headstart.engine.optim.running_average import average_of
from headstart.engine.optim.schedules import factor
from headstart.engine.state.checkpoint import Checkpoint, optimizer_state, restore_optimizer
from headstart.engine.state.snapshots import aside, changing, copy_into, put_weights, weights
from headstart.methods.plan import Group


@dataclass(frozen=True)
class Budget:
    """How long a job may train."""

    epochs: int
    patience: int | None = None
    "epochs without a better validation score after which it stops"
    clip: float = 1.0
    share: float = 1.0
    "of the epochs' steps: a shorter training, whose schedule ends with them"
    steps: int | None = None
    "pause after so many steps, before the schedule's end: the learning-rate finder"
    stop_factor: float | None = None
    "stop once the smoothed loss is so many times its minimum (the learning-rate finder)"

    def total(self, per_epoch: int) -> int:
        """Steps from the schedule's start to its end."""
        return max(1, math.ceil(self.share * self.epochs * per_epoch))


@dataclass
class Trace:
    """What happened in a training."""

    status: str = "ok"
    "`ok` or `diverged: …`, with the weights of the last good state"
    steps: int = 0
    seconds: float = 0.0
    earlier: float = 0.0
    "of the seconds, those before the checkpoint from which this training went on"
    best_epoch: float | None = None
    best_value: float | None = None
    best_loss: float | None = None
    best_score: float = -math.inf
    best_outputs: Tensor | None = None
    "the best evaluation's, unless the training was taken up behind it"
    curve: list[Point] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    "of each step"
    rates: list[float] = field(default_factory=list)
    interpolation: tuple[Share, ...] = ()
    notes: tuple[str, ...] = ()
    paused: bool = False
    "whether the budget's steps ended it before its time: the model has its latest weights, not its best"


class Diverged(Exception):
    """A loss or gradient that is not finite."""


def fit(job: Job, budget: Budget, *, checkpoint: Checkpoint | None = None, progress: Progress | None = None) -> Trace:
    """Trains `job.module` as its plan says and leaves the weights that were best on validation in it.

    The plan's optimizer with its groups and schedule; gradients of a step are summed over its parts, clipped, applied.
    Each step seeds the generators from (seed, step), so a run that was stopped and goes on from its checkpoint
    reaches the same weights; so does one that was paused by `budget.steps`. A loss that is not finite ends the training
    with the last good weights. Where the plan asks for an average of the weights, that is judged and left.
    Raises `MethodError` where something that the plan put into the model gets no gradient: it is not applied.
    """
    progress = progress or Silent()
    per_epoch = job.steps_an_epoch()
    total = budget.total(per_epoch)
    names, optimizer = list(job.plan.trained()), optimizer_of(job)
    trace, best = Trace(), aside(job.module, names)
    average = average_of(job.plan, changing(job.module, names))
    step, room = 0, Room()
    if checkpoint and (saved := checkpoint.read(job.signature)):
        states, facts = saved
        put_weights(job.module, states["model"])
        best = states.get("best", best)
        if average:
            average.put(states["average"])
        restore_optimizer(optimizer, states.get("optimizer", {}))
        step, room.parts = facts["step"], facts.get("parts", 1)
        curve = [Point.from_json(p) for p in facts["trace"]["curve"]]
        grown = {name: values.tolist() for name, values in states.get("trace", {}).items()}
        trace = Trace(**{**facts["trace"], **grown, "curve": curve, "paused": False})
        if average:
            average.look(curve)
        if 0 < step < total:
            progress.say(f"goes on after step {step:,} of {total:,}")
    elif checkpoint:
        checkpoint.tell_others(job.signature, progress)
    progress.advance(step)
    trace.earlier, start = trace.seconds, time.perf_counter()
    phase: object = None
    at_most = _unread(job, budget)
    unseen: list[tuple[Tensor, Tensor, float]] = []
    "loss, norm of the gradient and rate of the last steps"

    def look() -> None:
        """Reads the losses of the last steps; raises `Diverged` at the first that is not finite."""
        nonlocal step
        if not unseen:
            return
        found = torch.stack([torch.stack([loss, norm]) for loss, norm, _ in unseen]).tolist()
        first = step - len(unseen)
        for at, ((loss, norm), (_, _, rate)) in enumerate(zip(found, unseen), first + 1):
            if not (math.isfinite(loss) and math.isfinite(norm)):
                step = at - 1
                what = f"the loss was {loss:g}" + ("" if not math.isfinite(loss) else f", its gradient {norm:g},")
                raise Diverged(f"diverged: {what} at step {at} of {total} (rate {rate:.2g})")
            trace.losses.append(loss)
            trace.rates.append(rate)
        progress.advance(len(unseen), note=f"loss {loss:.3f}")
        unseen.clear()

    def keep(at: int) -> None:
        if checkpoint:
            trace.seconds = trace.earlier + time.perf_counter() - start
            facts = {**trace.__dict__, "curve": [p.to_json() for p in trace.curve], "best_outputs": None}
            # what grows with the steps: JSON facts have a limit
            grown = {name: torch.tensor(facts.pop(name), dtype=torch.float64) for name in ("losses", "rates")}
            states = {"model": aside(job.module, names), "optimizer": optimizer_state(optimizer), "trace": grown}
            if trace.best_epoch is not None:  # else the best are those it began with
                states["best"] = best
            if average:
                states["average"] = average.state
            checkpoint.write(states, {"signature": job.signature, "step": at, "parts": room.parts, "trace": facts})

    def judge(at: int, mean: float | None, rate: float) -> None:
        """A point of the curve; the weights are kept where they are the best so far."""
        nonlocal best
        trained = weights(job.module, names) if average else {}
        if average:
            put_weights(job.module, average.state)
        evaluation = job.evaluate(max(0, at - 1) / total)
        if evaluation and not math.isfinite(evaluation.loss):  # statistics of norms may break where no loss does
            raise Diverged(f"diverged: the validation loss was {evaluation.loss:g} after step {at} of {total}")
        value, held_out = (evaluation.value, evaluation.loss) if evaluation else (None, None)
        trace.curve.append(Point(at / per_epoch, at, mean, held_out, value, rate))
        if average:
            average.look(trace.curve)
        if evaluation is None or _better(trace, evaluation.score, evaluation.loss):
            copy_into(best, job.module, names)
            trace.best_epoch, trace.best_value, trace.best_loss = at / per_epoch, value, held_out
            trace.best_score = evaluation.score if evaluation else 0.0
            trace.best_outputs = evaluation.outputs if evaluation else None
        put_weights(job.module, trained)

    def tired() -> bool:
        return step % per_epoch == 0 and _tired(trace, step / per_epoch, budget)

    end = total if budget.steps is None else min(total, budget.steps)
    waiting = contextlib.ExitStack()
    interrupt = waiting.enter_context(patient())
    try:
        if step == 0 and job.plan.begins_well:
            judge(0, None, 0.0)  # the solved head is a candidate itself
        while step < end and not tired():
            epoch = step // per_epoch
            for micros in job.steps(epoch, step - epoch * per_epoch):
                fraction = step / total
                active = job.plan.active(fraction)
                begins = active != phase
                if begins:
                    job.enter(fraction)
                    phase = active
                rate = job.plan.learning_rate * factor(job.plan.schedule, (step + 0.5) / total)
                for group in optimizer.param_groups:
                    group["lr"] = rate * group["scale"]
                loss = backward(job, micros, fraction, step, room)
                if begins:
                    _check_applied(job, active)
                norm = clip([p for g in optimizer.param_groups for p in g["params"]], budget.clip)
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
                step += 1
                if average:
                    average.update(changing(job.module, names), step)
                unseen.append((loss, norm, rate))
                due = checkpoint is not None and checkpoint.due
                if due or interrupt.asked or len(unseen) >= at_most:
                    look()
                if (due or interrupt.asked) and step % per_epoch:
                    keep(step)
                    _stop(interrupt)
                if step >= end:
                    break
                if budget.stop_factor and _rising(trace.losses, budget.stop_factor):
                    break
            else:
                look()
                if step != (epoch + 1) * per_epoch:
                    raise MethodError(
                        f"the job has {step - epoch * per_epoch} steps in epoch {epoch + 1}, but promised {per_epoch}: "
                        "its schedule would not fit. `steps` and `steps_an_epoch` have to agree."
                    )
            look()
            trace.steps = step
            if step % per_epoch and step < total:  # stopped inside an epoch
                break
            judge(step, statistics.fmean(trace.losses[-per_epoch:]), rate)
            phase = None  # evaluation changed the modes
            if interrupt.asked or (checkpoint and checkpoint.due):
                keep(step)
                _stop(interrupt)
    except Diverged as event:
        trace.status = str(event)
        optimizer.zero_grad(set_to_none=True)
        if trace.best_epoch is None and checkpoint and (saved := checkpoint.read(job.signature)):
            best = saved[0]["model"]  # nothing has been judged yet, but this is later than the start
        put_weights(job.module, best)
    else:
        trace.paused = end <= step < total and not tired()
        if trace.paused:
            keep(step)
        elif trace.best_epoch is not None:
            put_weights(job.module, best)
    finally:
        waiting.close()
        room.close()
    trace.steps = step
    if not (trace.paused and checkpoint):  # then what was kept says it, without the writing itself
        trace.seconds = trace.earlier + time.perf_counter() - start
    if room.parts > 1 or room.frugal:
        trace.notes += (room.note(),)
    if trace.best_epoch == 0 and trace.status == "ok":
        trace.notes += ("no step did better on validation than the start, which is kept",)
    return trace


def _stop(interrupt: Interrupt) -> None:
    if interrupt.asked:
        raise KeyboardInterrupt


def _unread(job: Job, budget: Budget) -> int:
    """Steps whose losses may lie on a GPU unread: to read one is to wait for it, and nothing is prepared meanwhile."""
    return 20 if job.compute.device.type == "cuda" and budget.stop_factor is None else 1


def _check_applied(job: Job, active: tuple[Group, ...]) -> None:
    """A layer whose weight the model reads without calling it would leave out what stands in its place, unnoticed."""
    parameters = dict(job.module.named_parameters())
    trained = [name for group in active for name in group.parameters]
    idle = [
        edit.path
        for edit in job.plan.edits
        if any(n.startswith(f"{edit.place}.") and parameters[n].grad is None for n in trained)
    ]
    if idle:
        raise MethodError(
            f"what the method put at {', '.join(idle[:5])}{', …' if len(idle) > 5 else ''} is not applied: it took no "
            "part in the loss. The model reads that layer's weight without calling the layer, or never runs it; "
            "choose targets without it."
        )


def _tired(trace: Trace, epoch: float, budget: Budget) -> bool:
    """Whether the validation score has not improved for `patience` epochs."""
    return budget.patience is not None and bool(trace.curve) and epoch - (trace.best_epoch or 0.0) >= budget.patience


def _better(trace: Trace, score: float, loss: float) -> bool:
    """A higher score, or the same score at a lower loss."""
    if score != trace.best_score:
        return score > trace.best_score
    return trace.best_loss is None or loss < trace.best_loss


def _rising(losses: list[float], times: float) -> bool:
    smooth = smoothed(losses)
    return len(smooth) > 10 and smooth[-1] > times * min(smooth)


def smoothed(losses: list[float], beta: float = 0.9) -> list[float]:
    """Exponential moving average with bias correction: `m_i = beta m + (1 - beta) l`, over `1 - beta^(i+1)`."""
    mean, out = 0.0, []
    for i, loss in enumerate(losses):
        mean = beta * mean + (1 - beta) * loss
        out.append(mean / (1 - beta ** (i + 1)))
    return out
