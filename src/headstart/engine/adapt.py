"""Adapting: one method, one seed, from the base to a trained model and back."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from headstart.backbones.backbone import Backbone
from headstart.backbones.ladder.upper import redraw
from headstart.core.errors import ModelError
from headstart.core.progress import Progress
from headstart.core.seeds import derive
from headstart.data.documents.library import Library
from headstart.engine.adaptation import Adaptation, Score
from headstart.engine.budget import Budget
from headstart.engine.cache.cache import Cache, all_features
from headstart.engine.cache.frozen import frozen_rounded
from headstart.engine.decoding.asked import Prompts
from headstart.engine.feed.feed import Feed
from headstart.engine.fit import fit
from headstart.engine.generating import job_of
from headstart.engine.job import Options
from headstart.engine.machine.meter import Reading, meter
from headstart.engine.machine.precision import Compute
from headstart.engine.optim.rows import row_gradients
from headstart.engine.runtime import Runtime
from headstart.engine.standardising import settle, standardise
from headstart.engine.state.averaging import interpolate
from headstart.engine.state.checkpoint import Checkpoint, State
from headstart.engine.state.snapshots import put_weights, weights
from headstart.engine.state.surroundings import own_generators
from headstart.engine.trace import Trace
from headstart.engine.viewed import completed, through
from headstart.methods.method import Method, head_for
from headstart.methods.plan import Model, Plan
from headstart.methods.solver import Ingredient, Solver
from headstart.tasks.task import Task


@dataclass(frozen=True)
class Setting:
    """What all methods of a comparison share."""

    backbone: Backbone
    task: Task
    train: Feed
    validation: Feed
    options: Options
    compute: Compute
    score: Score
    cache: Cache
    ingredients: tuple[Ingredient, ...] = ()
    "finished trainings of the comparison's other methods, for a soup"
    share: float = 1.0
    "share of a usual training's steps, with which its schedule ends; of the examples, if a control's head is solved"
    documents: Library | None = None
    "the user's documents, in which methods look for passages"

    @property
    def runtime(self) -> Runtime:
        return Runtime(self.compute)


@dataclass(frozen=True)
class Adapted:
    """A trained model inside its context."""

    job: Adaptation
    trace: Trace
    seconds: float
    """seconds of the training, those before an interruption included, and of the activations that it took from other
    runs; for a soup also the trainings of all its candidates"""
    peak_memory_bytes: int | None
    charged: float = 0.0
    "part of the seconds: those that other runs spent on the cache"

    @property
    def model(self) -> Model:
        return self.job.module

    @property
    def plan(self) -> Plan:
        return self.job.plan

    @property
    def trained_parameters(self) -> int:
        if self.plan.solver and not self.plan.solver.learns:
            return 0
        parameters = dict(self.model.named_parameters())
        return sum(parameters[name].numel() for name in self.plan.trained())

    @property
    def trained_share(self) -> float:
        """Share of all parameters: backbone, head, and those that the method added."""
        return self.trained_parameters / sum(p.numel() for p in self.model.parameters())


def new_head(backbone: Backbone, task: Task, method: Method, seed: int) -> nn.Module:
    """The method's head, initialised under this seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(seed, "head"))
        return head_for(method, backbone, task, bias=backbone.head_bias or method.needs_bias)


@contextlib.contextmanager
@own_generators()
def attached(setting: Setting, method: Method, seed: int) -> Iterator[Adaptation]:
    """The method on the base, ready to train. On exit the base is restored, and its checksum is compared."""
    backbone, compute = setting.backbone, setting.compute
    head = new_head(backbone, setting.task, method, seed).to(compute.device)
    model = Model(backbone.module, head)
    plan = method.attach(backbone, head)
    plan.check(setting.task)
    if plan.view is not None:
        plan = replace(plan, view=completed(plan.view, setting, seed))
        assert plan.view is not None
        setting = through(setting, plan.view, learns=plan.solver is None)
    if not backbone.intact:
        raise ModelError(
            f"the weights of {backbone.source!r} have changed since it was loaded; a training on them would belong to "
            "no known base. Load it again."
        )
    torch.manual_seed(derive(seed, "attach"))

    def drawn(module: nn.Module) -> None:
        backbone.reinitialise(module, derive(seed, "scratch"))

    with plan.applied(model, partial(redraw, ladder=backbone.ladder, rungs=plan.fresh, reinitialise=drawn)):
        cache = setting.cache if setting.options.cache else None
        yield job_of(setting.task)(
            model, setting.backbone, plan, setting.task, setting.train.seeded(seed), setting.validation,
            setting.options, compute, setting.score, seed, cache, setting.share, repr(method),
        )  # fmt: skip
    if not backbone.intact:
        raise ModelError(f"{type(method).__name__} left weights of {backbone.source!r} changed. Load it again.")


@dataclass
class Prepared:
    """A method on the base, ready to learn: `fit(job, budget)` takes its steps, or `solve` needs none; then `end`."""

    job: Adaptation
    setting: Setting
    budget: Budget | None
    "None if the head is solved instead"
    reading: Reading
    metered: contextlib.ExitStack
    stepping: contextlib.ExitStack
    start: State
    "the weights before the first step, for an interpolation"

    def solve(self) -> Trace:
        """A head that is solved, not trained by steps."""
        solver = self.job.plan.solver
        assert solver is not None
        return _evaluated(self.job, _solve(self.job, solver, self.setting))

    def end(self, trace: Trace) -> Adapted:
        """The trained model after these steps: averaged, in the units of its targets, with its time and memory."""
        job, plan = self.job, self.job.plan
        if self.budget:
            self.stepping.close()
            if plan.interpolation and trace.status == "ok":
                _interpolate(job, self.start, trace)
            self.start.clear()
            settle(job)
            if plan.solved_after:
                job.solve(plan.solved_after, job.train)
            if plan.interpolation or plan.solved_after:
                trace.best_outputs = None  # because the weights or the head have changed since
        self.metered.close()
        charged = self.setting.cache.charge()
        seconds = trace.earlier + self.reading.seconds + charged
        if plan.solver and plan.solver.combines:
            seconds += sum(one.seconds for one in self.setting.ingredients)
        return Adapted(job, trace, seconds, self.reading.peak_memory_bytes, charged)


@contextlib.contextmanager
def prepared(
    setting: Setting,
    method: Method,
    seed: int,
    *,
    checkpoint: Checkpoint | None = None,
    progress: Progress | None = None,
    name: str = "training",
) -> Iterator[Prepared]:
    """Attaches the method and prepares its steps; on exit the base is as it was."""
    with attached(setting, method, seed) as job, contextlib.ExitStack() as metered, contextlib.ExitStack() as stepping:
        plan, budget, start = job.plan, None, State()
        setting.cache.begin(str(checkpoint.path) if checkpoint else "")
        reading = metered.enter_context(meter(setting.compute.device))
        if not plan.solver:
            assert job.options.epochs is not None
            budget = Budget(job.options.epochs, job.options.patience, job.options.clip, job.share)
            if progress:
                progress.stage(name, budget.total(job.steps_an_epoch()))
            goes_on = checkpoint is not None and checkpoint.holds(job.signature) and not plan.interpolation
            prepare(job, setting, goes_on)
            if plan.interpolation:
                start = weights(job.module, list(plan.trained()))
            stepping.enter_context(economical(job))
        yield Prepared(job, setting, budget, reading, metered, stepping, start)


@contextlib.contextmanager
def adapted(
    setting: Setting,
    method: Method,
    seed: int,
    *,
    checkpoint: Checkpoint | None = None,
    progress: Progress | None = None,
) -> Iterator[Adapted]:
    """Attaches the method, trains, and yields the trained model. On exit the base is restored."""
    with prepared(setting, method, seed, checkpoint=checkpoint, progress=progress) as ready:
        if ready.budget:
            yield ready.end(fit(ready.job, ready.budget, setting.runtime, checkpoint=checkpoint, progress=progress))
        else:
            yield ready.end(ready.solve())


def _solve(job: Adaptation, solver: Solver, setting: Setting) -> tuple[str, ...]:
    """Solves the head on features of the frozen base, from the cache, or of fresh weights, computed anew."""
    train = setting.train
    if job.plan.altered and setting.share < 1:
        places = np.linspace(0, len(train) - 1, math.ceil(setting.share * len(train))).astype(int)
        train = Feed(train.name, train.examples.take(places), job.backbone, workers=train.workers)

    def base() -> Tensor:
        return all_features(setting.cache, train, job.options.batch_tokens, job.plan.reads)

    notes = job.solve(solver, train, None if job.plan.altered else base, setting.ingredients)
    prompts = job.backbone.preparation
    return (*notes, *prompts.notes) if isinstance(prompts, Prompts) else notes


def prepare(job: Adaptation, setting: Setting, goes_on: bool = False) -> None:
    """Work before the first step of a training, a rate finder or a forecast.

    Solves the first head (LP-FT, zero-shot), standardises a regression's targets, and lets terms keep what they need of
    the present model. goes_on: True if a checkpoint holds the head already.
    """
    if job.plan.start and not goes_on:
        _solve(job, job.plan.start, setting)
    standardise(job, solved=job.plan.begins_well)
    job.hold()


@contextlib.contextmanager
def economical(job: Adaptation) -> Iterator[None]:
    """The module with cheaper weights inside the context: frozen ones rounded once, embedding gradients by rows.

    A term on the weights needs dense gradients, because it pulls at every row of a table.
    """
    trained = set(job.plan.trained())
    with contextlib.ExitStack() as stack:
        if job.compute.device.type in ("cpu", "cuda"):
            stack.enter_context(frozen_rounded(job.module, trained, job.compute))
        if job.compute.device.type == "cpu" and not any(term.on_weights for term in job.plan.terms):
            stack.enter_context(row_gradients(job.module, trained))
        yield


def _interpolate(job: Adaptation, start: State, trace: Trace) -> None:
    tuned = weights(job.module, list(job.plan.trained()))
    put = partial(put_weights, job.module)
    trace.interpolation, best = interpolate(start, tuned, job.plan.interpolation, put, partial(job.evaluate, 1.0))
    if best:
        trace.best_value, trace.best_loss, trace.best_score = best.value, best.loss, best.score


def _evaluated(job: Adaptation, notes: tuple[str, ...]) -> Trace:
    """Trace of a head that was solved without steps."""
    evaluation = job.evaluate(1.0)
    if evaluation is None:
        return Trace(notes=notes)
    return Trace(
        notes=notes, best_value=evaluation.value, best_loss=evaluation.loss, best_score=evaluation.score,
        best_outputs=evaluation.outputs, best_texts=evaluation.texts,
    )  # fmt: skip
