"""Trainings on one base: each is saved, reloaded and compared; its results are in a folder."""

from __future__ import annotations

import hashlib
import json
import math
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from headstart.artifacts.artifact import fields_of, reloaded, save
from headstart.backbones.backbone import Backbone
from headstart.comparison.containment import contained
from headstart.comparison.latency import latencies
from headstart.comparison.outlook import Outlook
from headstart.comparison.race.race import Standing
from headstart.comparison.selection import same_modality
from headstart.core.disk.files import slug
from headstart.core.disk.runs import PROGRESS
from headstart.core.environment import libraries
from headstart.core.errors import ArtifactError
from headstart.core.progress import Progress, Silent
from headstart.core.records.comparison import Point, Share
from headstart.core.records.record import Record
from headstart.data.examples import Data
from headstart.engine.adapt import Adapted, Setting, adapted
from headstart.engine.adaptation import Adaptation
from headstart.engine.cache.cache import Cache
from headstart.engine.cache.frozen import forward_alone
from headstart.engine.feed.augment import Augment
from headstart.engine.feed.feed import Feed
from headstart.engine.job import Options
from headstart.engine.losses.temperature import cool, temperature
from headstart.engine.machine.precision import Compute
from headstart.engine.state.checkpoint import Checkpoint
from headstart.engine.state.surroundings import put
from headstart.methods.method import Method, settled
from headstart.methods.solver import Ingredient
from headstart.stats.metrics import Metric
from headstart.stats.predictions import Predictions

ANSWERS = "validation.safetensors"
AGREEMENT = 1e-4
"""maximum difference of logits between a model in memory and after loading, relative to the largest if that is above 1,
because outputs of a regression are in units of its targets"""
HELD = "validation.safetensors"
"file of the validation predictions of a training, beside its model"


def held_file(folder: Path, name: str, seed: int) -> Path:
    """Path of the validation predictions of a training in the run folder, for `improve`."""
    return folder / "predictions" / "validation" / f"{slug(name)}-seed{seed}.safetensors"


@dataclass(frozen=True)
class Run(Record):
    """Results of one training, without its model."""

    seed: int
    configuration: dict[str, Any]
    status: str
    validation_value: float | None
    validation_loss: float | None
    score: float | None
    seconds: float
    peak_memory_bytes: int | None
    trained_parameters: int
    trained_share: float
    best_epoch: float | None
    curve: tuple[Point, ...] = ()
    interpolation: tuple[Share, ...] = ()
    artifact_bytes: int | None = None
    charged: float = 0.0
    "seconds that other runs had spent on the cache"
    temperature: float = 1.0
    "temperature of the head's scores, fitted after training"
    notes: tuple[str, ...] = ()
    share: float = 1.0
    "length as a share of the usual steps; the schedule ended with it"


@dataclass(eq=False)
class Trainings:
    """Common state of the trainings: data, base, options and cache; `folder/progress` holds their results."""

    data: Data
    backbone: Backbone
    options: Options
    compute: Compute
    folder: Path
    metric: Metric
    workers: int = 0
    progress: Progress = field(default_factory=Silent)

    def __post_init__(self) -> None:
        same_modality(self.data, self.backbone)
        self.outlook = Outlook(self.progress, 1)
        self.options = self.options.sized(len(self.data.train))
        augment = Augment(self.options.augment, self.options.word_dropout)
        backbone, data = self.backbone, self.data
        self._back = put(backbone, self.compute)
        self.cache = Cache(backbone, self.compute, self.options.cache_bytes)
        self.train = Feed("train", data.train, backbone, augment, self.workers)
        self.validation = Feed("validation", data.validation, backbone, workers=self.workers)
        self.setting = Setting(
            backbone, data.task, self.train, self.validation, self.options, self.compute, self._score, self.cache
        )
        self._plain = (
            Feed("train:plain", data.train, backbone, workers=self.workers) if self.train.fresh else self.train
        )

    def close(self) -> None:
        """Frees the cache, and moves the backbone back to its device."""
        self.cache.close()
        self._back.close()

    @cached_property
    def test(self) -> Feed:
        """Read lazily, because work on validation alone must not read it."""
        return Feed("test", self.data.test, self.backbone, workers=self.workers)

    def _score(self, scores: np.ndarray, targets: np.ndarray) -> tuple[float, float]:
        value = self.metric.of(Predictions(np.arange(len(scores)), targets, scores))
        return value, value if self.metric.higher_is_better else -value

    def settled(self, method: Method) -> Method:
        """The method with its starting learning rate."""
        return settled(method, self.backbone)

    def key(self, method: Method, seed: int, share: float = 1.0) -> str:
        text = json.dumps([fields_of(method), seed, *([share] if share < 1 else [])], sort_keys=True)
        return f"seed{seed}-{hashlib.blake2b(text.encode(), digest_size=6).hexdigest()}"

    def place(self, name: str, method: Method, seed: int, share: float = 1.0) -> Path:
        return self.folder / PROGRESS / slug(name) / self.key(method, seed, share)

    def epochs(self, share: float) -> float:
        """Epochs in this share of a usual training; below 1, only some examples are used."""
        assert self.options.epochs is not None
        return share * self.options.epochs

    def seen(self, share: float) -> tuple[float, int]:
        """Epochs of a training of this share, and the number of training examples that it uses."""
        epochs = self.epochs(share)
        return epochs, min(len(self.train), math.ceil(epochs * len(self.train)))

    def once(
        self, name: str, method: Method, seed: int, ingredients: Sequence[Ingredient] = (), share: float = 1.0,
        progress: Progress | None = None, answers_too: bool = False,
    ) -> Run:  # fmt: skip
        """One training, saved, reloaded and compared; reuses finished work of an interrupted run.

        ingredients: models for a method that averages others. share: length as a share of the usual steps, with the
        schedule. answers_too: keep validation predictions, for `standing`. Raises `Failed` for an unexpected
        exception.
        """
        with contained(self.folder, name):
            return self._once(name, method, seed, ingredients, share, progress or self.progress, answers_too)

    def _once(
        self, name: str, method: Method, seed: int, ingredients: Sequence[Ingredient], share: float, progress: Progress,
        answers_too: bool,
    ) -> Run:  # fmt: skip
        place = self.place(name, method, seed, share)
        if (place / "run.json").is_file():
            return Run.read(place / "run.json")
        # plain examples, because a head can't be solved on endless augmented views
        setting = replace(self.setting, train=self._plain) if method.solved else self.setting
        if method.combines:
            setting = replace(setting, ingredients=tuple(ingredients))
        setting = replace(setting, share=share)
        title, start = f"{name} seed {seed}", time.perf_counter()
        progress.stage(title)
        self.outlook.begins(name)
        checkpoint = self.checkpoint(name, method, seed, share)
        with adapted(setting, method, seed, checkpoint=checkpoint, progress=progress, name=title) as done:
            run = self._run(done, method, seed)
            answers = self._answers(done) if answers_too else None
            if run.status == "ok":
                run, held = self._calibrated(run, done)
                save(
                    place / "model", done.model, done.plan, self.backbone, method=name.partition("@")[0],
                    configuration=fields_of(method), task=self.data.task, columns=self.data.record.columns,
                    precision=self.compute.precision, libraries=libraries(),
                    temperature=run.temperature,
                )  # fmt: skip
                if held is not None:
                    held.write(place / HELD)
                run = replace(run, artifact_bytes=sum(f.stat().st_size for f in (place / "model").iterdir()))
                sample = self._sample_logits(done.job)
        if run.status == "ok":
            with _Reloaded(place / "model", self.setting) as job:
                gap = (self._sample_logits(job) - sample).abs().max()
                difference = float(gap / sample.abs().max().clamp(min=1.0))
            if not difference <= AGREEMENT:
                raise ArtifactError(
                    f"{name}: the saved model differs from the trained one by {difference:g} in logits."
                )
        if answers:
            answers.write(place / ANSWERS)
        run.write(place / "run.json")
        checkpoint.remove()
        self.outlook.ended(name, time.perf_counter() - start)
        return run

    def standing(self, name: str, method: Method, run: Run) -> Standing:
        """Validation result of a finished training of `once`."""
        found = Predictions.read(self.place(name, method, run.seed, run.share) / ANSWERS)
        return self._standing(found, run, method)

    def judged(self, name: str, method: Method, seed: int, share: float = 1.0) -> Standing:
        """One training with its validation result; its model is not kept.

        Raises `Failed` for an unexpected exception.
        """
        setting, title = replace(self.setting, share=share), f"{name} seed {seed}"
        with (
            contained(self.folder, name),
            adapted(setting, method, seed, progress=self.progress, name=title) as done,
        ):
            return self._standing(self._answers(done), self._run(done, method, seed), method)

    def _standing(self, found: Predictions, run: Run, method: Method) -> Standing:
        score, loss = (math.nan if value is None else value for value in (run.score, run.validation_loss))
        return Standing(found, score, loss, run.seconds, method.control)

    def _outputs(self, done: Adapted) -> torch.Tensor:
        """[n, outputs] predictions of a trained model for the validation examples."""
        found = done.trace.best_outputs
        return done.job.logits(self.validation) if found is None else found

    def _answers(self, done: Adapted) -> Predictions:
        """Validation score of a trained model; not finite if the training diverged."""
        logits = self._outputs(done)
        if done.trace.status != "ok":
            logits = torch.full_like(logits, torch.nan)
        scores = self.data.task.probabilities(logits).numpy()
        return Predictions.of(self.data.validation, scores)

    def checkpoint(self, name: str, method: Method, seed: int, share: float = 1.0) -> Checkpoint:
        """State file of an interrupted training."""
        return Checkpoint(self.place(name, method, seed, share) / "checkpoint.safetensors")

    def _run(self, done: Adapted, method: Method, seed: int) -> Run:
        trace = done.trace
        return Run(
            seed=seed,
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
            notes=(*self.cache.notes, *trace.notes),
            share=done.job.share,
        )

    def _calibrated(self, run: Run, done: Adapted) -> tuple[Run, Predictions | None]:
        """Temperature scaling: fits the temperature on validation and includes it in the head.

        Not for log frequencies (the prior of `majority`), which are calibrated. Also returns the validation
        predictions.
        """
        job = done.job
        if not len(self.validation):
            return run, None
        logits = self._outputs(done)
        if job.plan.calibrates:
            t = temperature(logits, self.validation.targets, self.data.task)
            if cool(job.module.head, t):
                logits = logits / t
                loss = run.validation_loss if job.plan.solver is None else job.evaluation(logits).loss
                run = replace(run, temperature=t, validation_loss=loss)
        return run, Predictions.of(self.data.validation, self.data.task.probabilities(logits).numpy())

    def _sample_logits(self, job: Adaptation) -> torch.Tensor:
        """Logits of a few validation examples by the whole forward, without the cache."""
        job.module.eval()
        batch = self.validation.batch(np.arange(min(4, len(self.validation))))
        batch = {name: value.to(self.compute.device) for name, value in batch.items()}
        with torch.no_grad(), self.compute.autocast():
            features = self.backbone.features(batch, job.plan.reads)
        logits: torch.Tensor = job.module.head(features.float()).detach().cpu()
        return logits

    def tested(self, name: str, method: Method, run: Run) -> tuple[Predictions, float]:
        """Test predictions of the saved model, and its latency for one example in seconds.

        Raises `Failed` for an unexpected exception, and for values that are not finite.
        """
        with contained(self.folder, name):
            return self._tested(name, method, run)

    def _tested(self, name: str, method: Method, run: Run) -> tuple[Predictions, float]:
        place = self.place(name, method, run.seed, run.share)
        with _Reloaded(place / "model", self.setting) as job:
            scores = job.predict(self.test)
            found = Predictions.of(self.data.test, scores)
            if not found.finite:
                raise ValueError("the saved model gives values that are not finite on the test split")

            seconds = statistics.median(self._latencies(job, 30))
        found.write(self.folder / "predictions" / f"{slug(name)}-seed{run.seed}.safetensors")
        if (place / HELD).is_file():
            Predictions.read(place / HELD).write(held_file(self.folder, name, run.seed))
        return found, seconds

    def latencies(self, place: Path, count: int) -> list[float]:
        """Latencies of single examples in seconds, by the saved model of this training."""
        with _Reloaded(place / "model", self.setting) as job:
            return self._latencies(job, count)

    def _latencies(self, job: Adaptation, count: int) -> list[float]:
        def one(i: int) -> None:
            batch = self.test.batch(np.array([i % len(self.test)]))
            batch = {key: value.to(self.compute.device) for key, value in batch.items()}
            with torch.no_grad(), self.compute.autocast():
                job.module.head(self.backbone.features(batch, job.plan.reads).float()).cpu()

        with forward_alone(self.backbone.module, self.compute):  # as in a Predictor
            return latencies(one, count)


class _Reloaded:
    """A saved model on its base, as a job for predictions."""

    def __init__(self, folder: Path, setting: Setting) -> None:
        self.setting, self.context = setting, reloaded(folder, setting.backbone)

    def __enter__(self) -> Adaptation:
        _, model, plan = self.context.__enter__()
        setting = self.setting
        cache = setting.cache if setting.options.cache else None
        return Adaptation(
            model, setting.backbone, plan, setting.task, setting.train, setting.validation, setting.options,
            setting.compute, setting.score, 0, cache,
        )  # fmt: skip

    def __exit__(self, *exception: Any) -> None:
        self.context.__exit__(*exception)
