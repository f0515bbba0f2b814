"""A saved model on its base again: its logits, test predictions and latency."""

from __future__ import annotations

import contextlib
import statistics
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from headstart.artifacts.artifact import passages_of, reloaded
from headstart.comparison.trials.latency import latencies
from headstart.comparison.trials.workshop import Workshop
from headstart.engine.adapt import Setting
from headstart.engine.adaptation import Adaptation
from headstart.engine.cache.frozen import forward_alone
from headstart.engine.decoding.in_context import InContext
from headstart.engine.generating import job_of
from headstart.engine.viewed import through
from headstart.stats.predictions import Predictions

Beside = Callable[[Sequence[Any]], list[dict[str, Any]]]
"what a model read beside each of these inputs, to be kept with its answers"


@contextlib.contextmanager
def saved_job(model: Path, setting: Setting) -> Iterator[Adaptation]:
    """The saved model in this folder as a job for predictions."""
    with reloaded(model, setting.backbone) as (_, module, plan):
        if plan.view is not None:
            setting = through(setting, plan.view, learns=False, passages=passages_of(model))
        cache = setting.cache if setting.options.cache else None
        yield job_of(setting.task)(
            module, setting.backbone, plan, setting.task, setting.train, setting.validation, setting.options,
            setting.compute, setting.score, 0, cache,
        )  # fmt: skip


def logits_of_some(job: Adaptation) -> torch.Tensor:
    """[at most 4, outputs] logits of a few validation examples by the whole forward, without the cache."""
    job.module.eval()
    batch = job.validation.batch(np.arange(min(4, len(job.validation))))
    batch = {name: value.to(job.compute.device) for name, value in batch.items()}
    with torch.no_grad(), job.compute.autocast():
        features = job.backbone.features(batch, job.plan.reads)
    logits: torch.Tensor = job.module.head(features.float()).detach().cpu()
    return logits


def tested(model: Path, workshop: Workshop) -> tuple[Predictions, float, Beside]:
    """Test predictions of the saved model in this folder, its latency for one example in seconds, and what it read
    beside each question.

    Raises `ValueError` for predictions that are not finite.
    """
    with saved_job(model, workshop.setting) as job:
        scores, texts = job.judged(workshop.test.prepared_for(job.backbone))
        found = job.task.predictions(workshop.data.test, job.task.probabilities(scores).numpy(), texts)
        if not found.finite:
            raise ValueError("the saved model gives values that are not finite on the test split")
        return found, statistics.median(_latencies(job, workshop, 30)), _beside(job)


def _beside(job: Adaptation) -> Beside:
    preparation = job.backbone.preparation
    if not (isinstance(preparation, InContext) and preparation.search):
        return _nothing
    return lambda inputs: [{"passages": one} for one in preparation.used(inputs)]


def _nothing(inputs: Sequence[Any]) -> list[dict[str, Any]]:
    return [{} for _ in inputs]


def latencies_of(model: Path, workshop: Workshop, count: int) -> list[float]:
    """Latencies of single examples in seconds, by the saved model in this folder."""
    with saved_job(model, workshop.setting) as job:
        return _latencies(job, workshop, count)


def _latencies(job: Adaptation, workshop: Workshop, count: int) -> list[float]:
    feed = workshop.test.prepared_for(job.backbone)
    if workshop.data.task.own_head:  # an answer takes a step for each of its tokens
        count = -(-count // 3)

    def one(i: int) -> None:
        job.respond(feed, i % len(feed))

    with forward_alone(job.backbone.module, job.compute):  # as in a Predictor
        return latencies(one, count)
