"""Training: the state of a training between its steps, and what changes it."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Iterator

from headstart.backbones.snapshot import Snapshot
from headstart.core.errors import MethodError
from headstart.core.progress import Progress
from headstart.core.records.training import Point
from headstart.engine.applied import check_applied
from headstart.engine.budget import Budget
from headstart.engine.feed.micro import Micro
from headstart.engine.job import Job
from headstart.engine.machine.memory import Room
from headstart.engine.optim.optimizers import optimizer_of
from headstart.engine.optim.rows import clip
from headstart.engine.optim.running_average import average_of
from headstart.engine.optim.schedules import factor
from headstart.engine.runtime import Runtime
from headstart.engine.state.snapshots import changing, put_weights, weights
from headstart.engine.trace import Trace, rising
from headstart.engine.unread import Diverged, Unread, limit


class Training:
    """A job between two of its steps: the number of steps done, the optimizer, the best weights, and the trace."""

    def __init__(self, job: Job, budget: Budget, runtime: Runtime, progress: Progress) -> None:
        self.job, self.budget, self.runtime, self.progress = job, budget, runtime, progress
        self.per_epoch = job.steps_an_epoch()
        self.total = budget.total(self.per_epoch)
        self.end = self.total if budget.steps is None else min(self.total, budget.steps)
        self.names, self.optimizer = list(job.plan.trained()), optimizer_of(job, runtime.device)
        self.best = Snapshot(changing(job.module, self.names))
        self.average = average_of(job.plan, changing(job.module, self.names))
        self.step, self.room, self.trace = 0, Room(), Trace()
        self.unread = Unread(limit(runtime.device, budget.stop_factor is not None))
        self._phase: object = None
        self._began = time.perf_counter()

    @property
    def epoch(self) -> int:
        """Number of epochs that are complete."""
        return self.step // self.per_epoch

    @property
    def inside(self) -> bool:
        """True between two steps of one epoch."""
        return self.step % self.per_epoch != 0

    @property
    def tired(self) -> bool:
        """True if an epoch ended and the validation score has not improved for `patience` epochs."""
        patience = self.budget.patience
        if self.inside or patience is None or not self.trace.curve:
            return False
        return self.step / self.per_epoch - (self.trace.best_epoch or 0.0) >= patience

    @property
    def goes_on(self) -> bool:
        return self.step < self.end and not self.tired

    @property
    def stops(self) -> bool:
        """True if no further step of this epoch is due."""
        factor = self.budget.stop_factor
        return self.step >= self.end or (factor is not None and rising(self.trace.losses, factor))

    def rest_of_epoch(self) -> Iterator[list[Micro]]:
        """The steps of the present epoch that are not done. Raises `MethodError` if they are not those promised."""
        epoch, first = self.epoch, self.epoch * self.per_epoch
        yield from self.job.steps(epoch, self.step - first)
        self.read()
        if self.step != first + self.per_epoch:
            raise MethodError(
                f"the job has {self.step - first} steps in epoch {epoch + 1}, but promised {self.per_epoch}: "
                "its schedule would not fit. `steps` and `steps_an_epoch` have to agree."
            )

    def take(self, micros: list[Micro]) -> None:
        """One step: the gradient, summed over its parts and clipped, and the optimizer's move."""
        job, fraction = self.job, self.step / self.total
        active = job.plan.active(fraction)
        if begins := active != self._phase:
            job.enter(fraction)
            self._phase = active
        rate = job.plan.learning_rate * factor(job.plan.schedule, (self.step + 0.5) / self.total)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["scale"]
        loss = self.runtime.backward(job, micros, fraction, self.step, self.room)
        if begins:
            check_applied(job, active)
        parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        self.runtime.sum([loss, *(p.grad for p in parameters if p.grad is not None)])
        norm = clip(parameters, self.budget.clip)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.step += 1
        if self.average:
            self.average.update(changing(job.module, self.names), self.step)
        self.unread.add(loss, norm, rate)

    def read(self) -> None:
        """Moves the unread losses into the trace. Raises `Diverged` at the first that is not finite."""
        found = self.unread.read()
        for at, (loss, norm, rate) in enumerate(found, self.step - len(found) + 1):
            if not (math.isfinite(loss) and math.isfinite(norm)):
                self.step = at - 1
                what = f"the loss was {loss:g}" + ("" if not math.isfinite(loss) else f", its gradient {norm:g},")
                raise Diverged(f"diverged: {what} at step {at} of {self.total} (rate {rate:.2g})")
            self.trace.losses.append(loss)
            self.trace.rates.append(rate)
        if found:
            self.progress.advance(len(found), note=f"loss {self.trace.losses[-1]:.3f}")

    def judge(self) -> None:
        """Adds a point to the curve; keeps the weights, or their average, if they are the best so far."""
        job, trace, at = self.job, self.trace, self.step
        trained = weights(job.module, self.names) if self.average else {}
        if self.average:
            put_weights(job.module, self.average.state)
        found = job.evaluate(max(0, at - 1) / self.total)
        if found and not math.isfinite(found.loss):  # statistics of norms may break while every training loss is finite
            raise Diverged(f"diverged: the validation loss was {found.loss:g} after step {at} of {self.total}")
        mean, rate = (statistics.fmean(trace.losses[-self.per_epoch :]), trace.rates[-1]) if at else (None, 0.0)
        value, held_out = (found.value, found.loss) if found else (None, None)
        trace.curve.append(Point(at / self.per_epoch, at, mean, held_out, value, rate))
        if self.average:
            self.average.look(trace.curve)
        if trace.improves(found):
            self.best.renew(changing(job.module, self.names))
            trace.take(found, at / self.per_epoch)
        put_weights(job.module, trained)
        self._phase = None  # because evaluation changed the modes

    def put_best(self) -> None:
        """Puts the weights into the module that were best on validation; before any evaluation, the first ones."""
        self.best.put_back(changing(self.job.module, self.names))

    def begin(self) -> None:
        """Starts the clock, after an earlier process's part of the training was read, if there is one."""
        self.progress.advance(self.step)
        self.trace.earlier, self._began = self.trace.seconds, time.perf_counter()

    def clock(self) -> None:
        """Brings the trace's seconds up to now."""
        self.trace.seconds = self.trace.earlier + time.perf_counter() - self._began

    def notes(self) -> tuple[str, ...]:
        """What the run's record says of this training beside its figures."""
        found: tuple[str, ...] = (self.room.note(),) if self.room.parts > 1 or self.room.frugal else ()
        if self.trace.best_epoch == 0 and self.trace.status == "ok":
            found += ("no step did better on validation than the start, which is kept",)
        return found
