"""The bench: trains one method at a time on one base, keeps what remains of each training, and predicts the test."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import shutil
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import nn

from headstart.artifacts.artifact import fields_of, reloaded, save
from headstart.backbones.backbone import Backbone
from headstart.core.comparison import Point, Row, SeedRun, Share, Trial
from headstart.core.environment import libraries
from headstart.core.errors import ArtifactError, ConfigurationError, MethodError
from headstart.core.files import write_json
from headstart.core.progress import Progress, Silent
from headstart.core.record import Record
from headstart.data.examples import Data
from headstart.engine.adapt import Adapted, Setting, adapted
from headstart.engine.adaptation import Adaptation
from headstart.engine.augment import Augment
from headstart.engine.averaging import Ingredient
from headstart.engine.cache import Cache
from headstart.engine.checkpoint import Checkpoint
from headstart.engine.feed import Feed
from headstart.engine.frozen import frozen_rounded
from headstart.engine.job import Options
from headstart.engine.losses import probabilities
from headstart.engine.precision import Compute
from headstart.evaluate.latency import latency
from headstart.evaluate.metrics import Metric
from headstart.evaluate.predictions import Predictions
from headstart.evaluate.race import Standing
from headstart.evaluate.tune import Outcome, candidates, tune
from headstart.methods.method import Axis, Method, settled

AGREEMENT = 1e-4
"""largest difference allowed between a model's logits in memory and after saving and loading, relative to the largest
of them where that is above 1: a regression's outputs are in the unit of its targets"""
ATTEMPT = (MethodError, RuntimeError, ValueError)
"what ends one training of a comparison, not the comparison"
LEARNT = ("gradient", "convex")
"solvers whose heads are weights that can be averaged"


@dataclass(frozen=True)
class Run(Record):
    """One training: what remains of it when its model is gone."""

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
    notes: tuple[str, ...] = ()


@dataclass(eq=False)
class Bench:
    """A comparison under way: where it lies and what its methods share."""

    data: Data
    backbone: Backbone
    options: Options
    compute: Compute
    folder: Path
    metric: Metric
    seeds: tuple[int, ...]
    trials: int
    workers: int = 0
    progress: Progress = field(default_factory=Silent)

    def __post_init__(self) -> None:
        same_modality(self.data, self.backbone)
        self._asked = self.options
        self.options = self.options.sized(len(self.data.train))
        augment = Augment(self.options.augment, self.options.word_dropout)
        backbone, data = self.backbone, self.data
        backbone.module.to(self.compute.device)
        if backbone.modality == "image":
            backbone.module.to(memory_format=torch.channels_last)
        self.cache = Cache(backbone, self.compute, self.options.cache_bytes)
        self.train = Feed("train", data.train, backbone, augment, self.workers)
        self.validation = Feed("validation", data.validation, backbone, workers=self.workers)
        self.setting = Setting(
            backbone, data.task, self.train, self.validation, self.options, self.compute, self._score, self.cache
        )
        self._plain = (
            Feed("train:plain", data.train, backbone, workers=self.workers) if self.train.fresh else self.train
        )
        self.keeps_trials = False  # while a method is still to come that is made of them
        self._ingredients: dict[Path, Ingredient] = {}

    @cached_property
    def test(self) -> Feed:
        """Read when it is asked for: whoever works on validation alone never does."""
        return Feed("test", self.data.test, self.backbone, workers=self.workers)

    def shorten(self, epochs: int) -> None:
        """All methods train for so many epochs."""
        self.options = replace(self._asked, epochs=epochs).sized(len(self.data.train))
        self.setting = replace(self.setting, options=self.options)

    def expect(self, methods: Iterable[Method]) -> None:
        """Tells the cache what these methods will ask for, so that one pass over the data keeps all of it."""
        wanted = []
        for method in methods:
            with contextlib.suppress(MethodError):  # it will be told when its turn comes
                for candidate in candidates(self.settled(method), self.axes(method), self.trials):
                    head = candidate.head(self.backbone, self.data.task.outputs, bias=True)
                    wanted += candidate.attach(self.backbone, head).prefixes(len(self.backbone.ladder))
        self.cache.expect(wanted)

    def _score(self, scores: np.ndarray, targets: np.ndarray) -> tuple[float, float]:
        value = self.metric.of(Predictions(np.arange(len(scores)), targets, scores))
        return value, value if self.metric.higher_is_better else -value

    def row(
        self, name: str, method: Method, raced: tuple[Method, Sequence[Trial]] | None = None
    ) -> tuple[Row, list[Predictions]]:
        """Tunes the method, trains it with every seed, and predicts the test split from the saved artifacts.

        raced: what a race has chosen already, and the trials that it has stopped.
        """
        self.progress.stage(name, None)
        trials: list[tuple[Method, Run]] = []
        failures: dict[Method, Exception] = {}
        stopped: Sequence[Trial] = ()

        def attempt(candidate: Method) -> Outcome:
            try:
                run = self.train_once(name, candidate, self.seeds[0])
            except ATTEMPT as error:  # of this configuration; others may do
                failures[candidate] = error
                return Outcome(math.nan)
            trials.append((candidate, run))
            failed = run.score is None or run.status != "ok"
            return Outcome(float("nan") if failed else float(run.score or 0.0), run.validation_loss or 0.0)

        try:
            settled = self.settled(method)
            if raced:
                chosen, stopped = raced
                attempt(chosen)
            else:
                chosen = tune(settled, self.axes(method), self.trials, attempt)
            if not trials:
                raise failures[chosen]
            tuning = sum(run.seconds for _, run in trials) + sum(trial.seconds or 0.0 for trial in stopped)
            seeds = self.seeds[:1] if method.solved else self.seeds
            runs = [self.train_once(name, chosen, seed) for seed in seeds]
        except ATTEMPT as error:
            return self.failed(name, method, error), []
        record = [self._trial(settled, candidate, run, candidate == chosen) for candidate, run in trials]
        record += [self.lost(settled, candidate, error) for candidate, error in failures.items()]
        record += stopped
        if any(run.status != "ok" for run in runs):
            status = next(run.status for run in runs if run.status != "ok")
            return Row(name, status, self.metric.name, fields_of(chosen), control=method.control,
                       trials=tuple(record), tuning_seconds=tuning), []  # fmt: skip
        predictions, latencies = [], []
        for run in runs:
            found, seconds = self.test_once(name, chosen, run)
            predictions.append(found)
            latencies.append(seconds)
        if self.keeps_trials:
            self._gather(name, [*trials, *((chosen, run) for run in runs)])
        else:
            self._drop_others(name, {self.key(chosen, run.seed) for run in runs})
        best = max(runs, key=lambda run: (run.score or 0.0, -(run.validation_loss or 0.0)))
        rate = getattr(chosen, "learning_rate", None)
        values = [run.validation_value for run in runs]
        row = Row(
            method=name,
            status="ok",
            metric=self.metric.name,
            configuration=fields_of(chosen),
            validation_value=None if None in values else statistics.fmean(value or 0.0 for value in values),
            learning_rate=rate,
            trained_parameters=best.trained_parameters,
            trained_share=best.trained_share,
            peak_memory_bytes=max((run.peak_memory_bytes or 0 for run in runs), default=0) or None,
            train_seconds=statistics.median(run.seconds for run in runs),
            tuning_seconds=tuning,
            latency_seconds=statistics.median(latencies),
            artifact_bytes=best.artifact_bytes,
            control=method.control,
            seeds=tuple(
                SeedRun(
                    run.seed,
                    run.validation_value,
                    self.metric.of(found),
                    run.seconds,
                    run.best_epoch,
                    run.curve,
                    run.interpolation,
                )
                for run, found in zip(runs, predictions)
            ),
            trials=tuple(record),
            notes=tuple(dict.fromkeys(note for run in runs for note in run.notes)),
        )
        return row, predictions

    def failed(self, name: str, method: Method, error: Exception) -> Row:
        """Of a method that does not fit, or whose model's own code or GPU gave up: others may still run."""
        if isinstance(error, MethodError):
            told = str(error).removeprefix(f"{name.partition('@')[0]}: ")
            return Row(name, f"not applicable: {told}", self.metric.name, control=method.control)
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:300]
        return Row(name, f"failed: {reason}", self.metric.name, fields_of(method), control=method.control)

    def settled(self, method: Method) -> Method:
        """With the learning rate where tuning begins."""
        return settled(method, self.backbone)

    def axes(self, method: Method) -> list[Axis]:
        """What is tuned: nothing that the user has set."""
        default = type(method)()
        return [
            axis for axis in method.axes(self.backbone) if getattr(method, axis.name) == getattr(default, axis.name)
        ]

    def _trial(self, settled: Method, candidate: Method, run: Run, chosen: bool) -> Trial:
        changed = self.changed(settled, candidate)
        return Trial(changed, run.validation_value, run.validation_loss, run.seconds, run.status, chosen)

    def lost(self, settled: Method, candidate: Method, error: Exception) -> Trial:
        """Of a configuration that failed where another of its method ran."""
        return Trial(self.changed(settled, candidate), None, status=self.failed("", candidate, error).status)

    def changed(self, settled: Method, candidate: Method) -> dict[str, Any]:
        """The fields by which a candidate is told from the others."""
        tuned = [axis.name for axis in candidate.axes(self.backbone)]
        return {f.name: getattr(candidate, f.name) for f in fields(candidate)
                if f.name in tuned or getattr(candidate, f.name) != getattr(settled, f.name)}  # fmt: skip

    def key(self, method: Method, seed: int) -> str:
        text = json.dumps([fields_of(method), seed], sort_keys=True)
        return f"seed{seed}-{hashlib.blake2b(text.encode(), digest_size=6).hexdigest()}"

    def place(self, name: str, method: Method, seed: int) -> Path:
        return self.folder / "progress" / name / self.key(method, seed)

    def train_once(self, name: str, method: Method, seed: int) -> Run:
        """One training, saved, reloaded and found equal; what an earlier, interrupted run has finished is taken up."""
        place = self.place(name, method, seed)
        if (place / "run.json").is_file():
            return Run.read(place / "run.json")
        # a head that is solved sees the plain examples: augmented views have no end to solve for
        setting = replace(self.setting, train=self._plain) if method.solved else self.setting
        if method.combines:
            setting = replace(setting, ingredients=tuple(self._ingredients.values()))
        title = f"{name} seed {seed}"
        self.progress.stage(title)
        checkpoint = Checkpoint(place / "checkpoint.safetensors")
        with adapted(setting, method, seed, checkpoint=checkpoint, progress=self.progress, name=title) as done:
            run = self._run(done, method, seed)
            if run.status == "ok":
                save(
                    place / "model", done.model, done.plan, self.backbone, method=name.partition("@")[0],
                    configuration=fields_of(method), task=self.data.task, columns=self.data.record.columns,
                    precision=self.compute.precision, libraries=libraries(),
                )  # fmt: skip
                run = replace(run, artifact_bytes=sum(f.stat().st_size for f in (place / "model").iterdir()))
                sample = self._sample_logits(done.job)
        if run.status == "ok":
            with self.from_artifact(place / "model") as job:
                gap = (self._sample_logits(job) - sample).abs().max()
                difference = float(gap / sample.abs().max().clamp(min=1.0))
            if not difference <= AGREEMENT:
                raise ArtifactError(
                    f"{name}: the saved model differs from the trained one by {difference:g} in logits."
                )
        run.write(place / "run.json")
        checkpoint.remove()
        return run

    def heat(self, name: str, method: Method, share: float) -> Standing:
        """Trains on to this share of the steps and pauses there; what an interrupted race has found is taken up."""
        place = self.place(name, method, self.seeds[0])
        file = place / f"heat-{share:.3f}.safetensors"
        facts = file.with_suffix(".json")
        if not facts.is_file():
            checkpoint, title = self.checkpoint(name, method), f"{name}, first {share:.0%}"
            with adapted(
                self.setting, method, self.seeds[0], checkpoint=checkpoint, progress=self.progress, name=title,
                until=share,
            ) as done:  # fmt: skip
                logits = done.job.logits(self.validation)
                told = {"seconds": done.seconds, "step_seconds": done.trace.seconds}
                # a heat may end inside an epoch, where the loop has judged nothing yet
                if done.trace.status == "ok" and bool(logits.isfinite().all()):
                    found = done.job.evaluation(logits)
                    told |= {"score": found.score, "loss": found.loss}
                else:
                    logits = torch.full_like(logits, torch.nan)
                scores = probabilities(self.data.task, logits).numpy()
                Predictions(self.data.validation.ids, self.data.validation.targets, scores).write(file)
                write_json(facts, told)
        told = json.loads(facts.read_text())
        return Standing(Predictions.read(file), **told, control=method.control)

    def forget(self, name: str, method: Method) -> None:
        """The state of a training that will not go on."""
        self.checkpoint(name, method).remove()

    def checkpoint(self, name: str, method: Method) -> Checkpoint:
        """Of the first seed's training."""
        return Checkpoint(self.place(name, method, self.seeds[0]) / "checkpoint.safetensors")

    def free_bytes(self) -> int:
        """On the disk of the run's folder, which need not be there yet."""
        there = next(place for place in (self.folder.absolute(), *self.folder.absolute().parents) if place.exists())
        return shutil.disk_usage(there).free

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
            peak_memory_bytes=done.peak_memory_bytes,
            trained_parameters=done.trained_parameters,
            trained_share=done.trained_share,
            best_epoch=trace.best_epoch,
            curve=tuple(trace.curve),
            interpolation=trace.interpolation,
            notes=(*self.cache.notes, *trace.notes),
        )

    def _sample_logits(self, job: Adaptation) -> torch.Tensor:
        """Logits of a few validation examples with the whole forward, nothing taken from the cache."""
        job.module.eval()
        batch = self.validation.batch(np.arange(min(4, len(self.validation))))
        batch = {name: value.to(self.compute.device) for name, value in batch.items()}
        with torch.no_grad(), self.compute.autocast():
            features = self.backbone.features(batch, job.plan.reads)
        logits: torch.Tensor = job.module.head(features.float()).detach().cpu()
        return logits

    def from_artifact(self, folder: Path) -> _Reloaded:
        return _Reloaded(self, folder)

    def test_once(self, name: str, method: Method, run: Run) -> tuple[Predictions, float]:
        """The test split, looked at by the saved model; and the seconds it takes for one example."""
        place = self.place(name, method, run.seed)
        with self.from_artifact(place / "model") as job:
            scores = job.predict(self.test)
            found = Predictions(self.data.test.ids, self.data.test.targets, scores)

            def one(i: int) -> None:
                batch = self.test.batch(np.array([i % len(self.test)]))
                batch = {key: value.to(self.compute.device) for key, value in batch.items()}
                with torch.no_grad(), self.compute.autocast():
                    job.module.head(self.backbone.features(batch, job.plan.reads).float()).cpu()

            with frozen_rounded(self.backbone.module, (), self.compute):  # as a Predictor holds them
                seconds = latency(one)
        found.write(self.folder / "predictions" / f"{name}-seed{run.seed}.safetensors")
        return found, seconds

    def _gather(self, name: str, trained: Sequence[tuple[Method, Run]]) -> None:
        """Trainings that changed weights alone, of a linear head that reads the top: these can be averaged."""
        for method, run in trained:
            head = method.head(self.backbone, self.data.task.outputs, bias=True)
            plan = method.attach(self.backbone, head)
            place = self.place(name, method, run.seed)
            alike = type(head) is nn.Linear and plan.reads == "top" and not plan.edits and plan.solver in LEARNT
            if run.status != "ok" or method.control or not alike:
                continue
            told = f"{name} seed {run.seed}"
            if plan.learning_rate:
                told += f" rate {plan.learning_rate:.2g}"
            load = partial(load_file, place / "model" / "weights.safetensors")
            self._ingredients[place] = Ingredient(told, run.score or 0.0, run.validation_loss or 0.0, run.seconds, load)

    def _drop_others(self, name: str, keep: set[str]) -> None:
        """Trials that were not chosen have their results in the record; their weights go."""
        for place in (self.folder / "progress" / name).iterdir():
            if place.name not in keep:
                shutil.rmtree(place / "model", ignore_errors=True)


def same_modality(data: Data, backbone: Backbone) -> None:
    if data.task.modality.partition("_")[0] != backbone.modality:
        raise ConfigurationError(
            f"the data are {data.task.modality.replace('_', ' ')}s, but {backbone.source} reads "
            f"{backbone.modality}s; choose another --model."
        )


class _Reloaded:
    """A saved model on the comparison's base, as a job that can predict."""

    def __init__(self, bench: Bench, folder: Path) -> None:
        self.bench, self.context = bench, reloaded(folder, bench.backbone)

    def __enter__(self) -> Adaptation:
        _, model, plan = self.context.__enter__()
        setting = self.bench.setting
        cache = setting.cache if setting.options.cache else None
        return Adaptation(
            model, setting.backbone, plan, setting.task, setting.train, setting.validation, setting.options,
            setting.compute, setting.score, 0, cache,
        )  # fmt: skip

    def __exit__(self, *exception: Any) -> None:
        self.context.__exit__(*exception)
