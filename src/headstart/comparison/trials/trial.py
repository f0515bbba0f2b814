"""`run_trial`: one training by its spec, in a folder of its results.

The road from a command to the training loop has four hops, each a call from one file to the next:

1. the verb (`cli/verbs/fit.py`, `compare.py`) reads its options and calls
2. `api/comparing.py`, which opens the data, the model and the run's folder, and calls
3. `comparison/compare.py`, which asks the search of each method what to train next, and calls
4. `run_trial` here, which attaches the method, calls `engine.fit`, the loop, and saves what came of it.

A search (`bench.py`, `tune.py`, `race/`) is a generator: it yields what it wants trained (`Pending`) and waits, so it
stands beside the road. `tests/comparison/test_trial.py` counts the files on the stack inside the loop.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from headstart.artifacts.artifact import fields_of, save
from headstart.comparison.trials.saved import logits_of_some, saved_job
from headstart.comparison.trials.workshop import Workshop, opened
from headstart.core.disk.locks import Lock
from headstart.core.disk.runs import TRIAL
from headstart.core.environment import libraries
from headstart.core.errors import ArtifactError, ConfigurationError
from headstart.core.fields import configured
from headstart.core.progress import Progress
from headstart.core.records.trial import IngredientSpec, Run, TrialSpec
from headstart.engine.adapt import Adapted, prepared
from headstart.engine.decoding.asked import tokens_of
from headstart.engine.decoding.in_context import InContext
from headstart.engine.fit import fit
from headstart.engine.losses.temperature import cool, temperature
from headstart.engine.state.checkpoint import Checkpoint
from headstart.methods.method import Method, method_class
from headstart.methods.solver import Ingredient
from headstart.stats.predictions import Predictions

RUN = "run.json"
"results of a trial, which are written last"
ANSWERS = "validation.safetensors"
"validation predictions: those of the saved model, with its temperature; not finite if the training diverged"
AGREEMENT = 1e-4
"""maximum difference of logits between a model in memory and after loading, relative to the largest if that is above 1,
because outputs of a regression are in units of its targets"""


def run_trial(spec: TrialSpec, folder: Path, workshop: Workshop | None = None, progress: Progress | None = None) -> Run:
    """Trains, saves, reloads and compares one model; the same spec and folder give the same result again.

    A finished folder is read, and an unfinished one continues from its checkpoint. workshop: the data and the model of
    the spec, if they are open already.

    Raises `ConfigurationError` if the folder holds another training, or if another process has it; `ArtifactError` if
    the saved model differs from the trained one.
    """
    check_folder(folder, spec)
    if (folder / RUN).is_file():
        return Run.read(folder / RUN)
    with contextlib.ExitStack() as stack:
        shop = workshop or stack.enter_context(opened(spec))
        shop.check(spec)
        stack.enter_context(Lock(folder))
        spec.write(folder / TRIAL)
        run = _trained(spec, folder, shop, progress)
        run.write(folder / RUN)
        checkpoint_in(folder).remove()
    return run


def check_folder(folder: Path, spec: TrialSpec) -> None:
    if not (folder / TRIAL).is_file():
        return
    before = TrialSpec.read(folder / TRIAL)
    if changed := before.changed(spec):
        raise ConfigurationError(
            f"{folder} holds another training, {before.title}: {', '.join(changed)} differ. Give another folder; "
            "nothing was changed."
        )


def checkpoint_in(folder: Path) -> Checkpoint:
    """State of an interrupted training."""
    return Checkpoint(folder / "checkpoint.safetensors")


def _trained(spec: TrialSpec, folder: Path, shop: Workshop, progress: Progress | None) -> Run:
    method: Method = configured(method_class(spec.method), spec.settings, spec.method)
    setting = shop.setting_of(spec, method, [_ingredient(folder, one) for one in spec.ingredients])
    checkpoint = checkpoint_in(folder)
    if progress:
        progress.stage(spec.title)
    with prepared(setting, method, spec.seed, checkpoint=checkpoint, progress=progress, name=spec.title) as ready:
        if ready.budget:
            trace = fit(ready.job, ready.budget, setting.runtime, checkpoint=checkpoint, progress=progress)
        else:
            trace = ready.solve()
        done = ready.end(trace)
        run, answers = _judged(_run(done, method, spec, shop), done, spec, shop)
        kept = spec.keeps and run.status == "ok"
        if kept:
            save(
                folder / "model", done.model, done.plan, shop.backbone, method=spec.method,
                configuration=fields_of(method), task=shop.data.task, columns=shop.data.record.columns,
                precision=spec.precision, libraries=libraries(), temperature=run.temperature,
                answer_tokens=done.job.answer_tokens, passages=getattr(done.job.backbone.preparation, "passages", ()),
            )  # fmt: skip
            some = logits_of_some(done.job)
    if answers:
        answers.write(folder / ANSWERS)
    if not kept:
        return run
    _check_saved(spec.name, folder, shop, some)
    return replace(run, artifact_bytes=sum(file.stat().st_size for file in (folder / "model").iterdir()))


def _run(done: Adapted, method: Method, spec: TrialSpec, shop: Workshop) -> Run:
    trace, view = done.trace, done.plan.view
    read, answered = (None, None) if shop.data.task.own_head else tokens_of(done.job.validation)
    return Run(
        seed=spec.seed,
        configuration=fields_of(method),
        status=trace.status,
        validation_value=trace.best_value,
        validation_loss=trace.best_loss,
        score=trace.best_score if np.isfinite(trace.best_score) else None,
        seconds=done.seconds,
        charged=done.charged,
        peak_memory_bytes=done.peak_memory_bytes,
        trained_parameters=done.trained_parameters,
        trained_share=done.trained_share,
        best_epoch=trace.best_epoch,
        curve=tuple(trace.curve),
        interpolation=trace.interpolation,
        notes=(*shop.cache.notes, *trace.notes, *_of_context(done)),
        share=done.job.share,
        view=view.to_json() if view else None,
        tokens_in=read,
        tokens_out=answered,
    )


def _of_context(done: Adapted) -> tuple[str, ...]:
    """Notes on demonstrations and passages before the validation questions."""
    preparation, examples = done.job.backbone.preparation, done.job.validation.examples
    given: Any = examples.inputs()
    return preparation.notes(given) if isinstance(preparation, InContext) else ()


def _judged(run: Run, done: Adapted, spec: TrialSpec, shop: Workshop) -> tuple[Run, Predictions | None]:
    """The validation predictions, and the temperature that is fitted on them and becomes part of the saved head.

    Log frequencies (the prior of `majority`) are calibrated, so they get no temperature.
    """
    job, task, examples = done.job, shop.data.task, shop.data.validation
    if not len(examples):
        return run, None
    found, texts = done.trace.best_outputs, done.trace.best_texts
    logits, texts = job.judged(job.validation) if found is None else (found, texts)
    if run.status != "ok":
        logits = torch.full_like(logits, torch.nan)
    elif spec.keeps and job.plan.calibrates:
        t = temperature(logits, shop.validation.targets, task)
        if cool(job.module.head, t):
            logits = logits / t
            loss = run.validation_loss if job.plan.solver is None else job.evaluation(logits).loss
            run = replace(run, temperature=t, validation_loss=loss)
    return run, task.predictions(examples, task.probabilities(logits).numpy(), texts)


def _check_saved(name: str, folder: Path, shop: Workshop, expected: Tensor) -> None:
    with saved_job(folder / "model", shop.setting) as job:
        gap = (logits_of_some(job) - expected).abs().max()
        difference = float(gap / expected.abs().max().clamp(min=1.0))
    if not difference <= AGREEMENT:
        raise ArtifactError(f"{name}: the saved model differs from the trained one by {difference:g} in logits.")


def _ingredient(folder: Path, one: IngredientSpec) -> Ingredient:
    place = folder / one.folder
    run = Run.read(place / RUN)
    load = partial(_uncooled, place / "model" / "weights.safetensors", run.temperature)
    return Ingredient(one.name, run.score or 0.0, run.validation_loss or 0.0, run.seconds, load)


def _uncooled(file: Path, temperature: float) -> dict[str, Tensor]:
    """The weights without temperature scaling, because heads of different temperatures must not be averaged."""
    return {name: value * temperature if name.startswith("head.") else value for name, value in load_file(file).items()}
