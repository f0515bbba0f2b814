"""Ranking pretrained models by transferability scores, before any training.

Features come from one frozen pass over a subset of the training split and over validation; the test split is never
used.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from headstart.backbones.backbone import Backbone, Reads
from headstart.comparison.selection import same_modality
from headstart.core.errors import ConfigurationError, HeadstartError, ModelError
from headstart.core.progress import Progress, Silent
from headstart.core.records.ranking import Candidate
from headstart.core.seeds import derive
from headstart.data.examples import Data, Examples
from headstart.engine.cache.cache import Cache, all_features
from headstart.engine.feed.feed import Feed
from headstart.engine.job import Options
from headstart.engine.machine.precision import Compute
from headstart.engine.state.surroundings import own_generators
from headstart.methods import convex
from headstart.methods.heads.knn import NearestNeighbours, NeighboursHead
from headstart.methods.heads.probe import Probe
from headstart.stats.intervals import interval
from headstart.stats.metrics import Metric
from headstart.stats.predictions import Predictions
from headstart.stats.transferability import h_score, logme
from headstart.tasks.task import Task


@own_generators()
def rank(
    data: Data, models: Sequence[str], load: Callable[[str], Backbone], metric: Metric, compute: Compute, *,
    examples: int = 1000, rungs: bool = False, progress: Progress | None = None,
) -> tuple[Candidate, ...]:  # fmt: skip
    """Scores each model, and with `rungs` each rung of it, highest LogME first.

    LogME agrees best with fine-tuning among the four scores (`benchmarks/cases/ranking.py`), because a probe prefers
    models with ready features, and fine-tuning prefers models that can learn the task.

    load: gives the backbone of a name; a model that can't be loaded, or that reads another modality, has the reason as
    status. Raises the last reason if no model is left.
    """
    if not len(data.validation):
        raise ConfigurationError("a ranking needs validation examples, and there are none.")
    progress, found = progress or Silent(), list[Candidate]()
    subset, reason = subset_of(data.train, examples), None
    progress.stage("rank", len(models))
    for model in models:
        try:
            start = time.perf_counter()
            backbone = load(model)
            same_modality(data, backbone)
            found += _scored(model, backbone, data, subset, metric, compute, rungs, start)
        except HeadstartError as error:
            reason = error
            found.append(Candidate(model, status=str(error)))
        except (RuntimeError, ValueError, MemoryError) as error:  # errors of the model's code, or lack of memory
            reason = ModelError(f"{model} could not be scored: {(str(error).strip() or type(error).__name__)}")
            found.append(Candidate(model, status=str(reason).splitlines()[0][:300]))
        progress.advance(note=model)
    if reason and all(one.status != "ok" for one in found):
        raise reason
    return tuple(sorted(found, key=lambda one: (one.logme is None, -(one.logme or 0.0))))


def rung_probes(
    data: Data, backbone: Backbone, metric: Metric, compute: Compute, examples: int = 1000
) -> tuple[Candidate, ...]:
    """Scores of each level of a backbone, the lowest first and the top last."""
    subset = subset_of(data.train, examples)
    return tuple(_scored(backbone.source, backbone, data, subset, metric, compute, True, time.perf_counter()))


def subset_of(examples: Examples, most: int) -> Examples:
    """At most this many examples, drawn with seed 0, in their order."""
    if len(examples) <= most:
        return examples
    chosen = np.random.default_rng(derive(0, "rank")).permutation(len(examples))[:most]
    return examples.take(np.sort(chosen))


def _scored(
    model: str, backbone: Backbone, data: Data, subset: Examples, metric: Metric, compute: Compute, rungs: bool,
    start: float,
) -> Iterator[Candidate]:  # fmt: skip
    if not data.task.pooled:
        raise ConfigurationError(
            f"a ranking scores one vector an example, and this task asks for {data.task.noun}; compare the models with "
            f"--methods {'full' if data.task.own_head or data.task.unsolved else 'probe'}."
        )
    backbone.module.to(compute.device)
    cache = Cache(backbone, compute)
    try:
        reads: Reads = "all" if rungs else "top"
        sides = [
            all_features(cache, Feed(name, examples, backbone), Options.batch_tokens, reads)
            for name, examples in (("train", subset), ("validation", data.validation))
        ]
        if not all(bool(torch.isfinite(side).all()) for side in sides):
            raise ConfigurationError(f"{model} gives features that are not finite.")
        widths = backbone.level_widths if rungs else (backbone.dimension,)
        names = [*(rung.name for rung in backbone.ladder.rungs[1:]), "top"] if rungs else ["top"]
        if len(names) != len(widths):  # rungs that no tensor enters have no level
            names = [*(f"level {i}" for i in range(len(widths) - 1)), "top"]
        read = time.perf_counter() - start
        size = tuple(getattr(backbone.preparation, "size", ()))
        for name, train, validation in zip(names, sides[0].split(widths, 1), sides[1].split(widths, 1)):
            begin = time.perf_counter()
            bare = Candidate(model, name, parameters=backbone.parameters, dimension=train.shape[1], image_size=size)
            one = _of_features(bare, train, validation, data, subset, metric)
            yield replace(one, seconds=read + time.perf_counter() - begin)
    finally:
        cache.close()
        backbone.module.cpu()


def _of_features(
    bare: Candidate, train: Tensor, validation: Tensor, data: Data, subset: Examples, metric: Metric
) -> Candidate:
    task, held_out = data.task, data.validation
    targets = torch.from_numpy(subset.targets).to(train.device)
    head = nn.Linear(train.shape[1], task.outputs).to(train.device)
    convex.solve(train, targets, task, Probe.penalty, head)
    value, low, high = interval([_predicted(head, validation, held_out, task)], metric)
    knn = None
    if task.exclusive or task.numeric:  # neighbours have one vote each
        voters = NeighboursHead(train.shape[1], task.outputs, NearestNeighbours.neighbours)
        voters.solve(train, targets, task)
        knn = metric.of(_predicted(voters, validation, held_out, task))
    x, single = train.double().cpu().numpy(), task.exclusive
    wanted = np.eye(task.outputs)[subset.targets] if single else subset.targets.reshape(len(x), -1)
    return replace(
        bare, probe=value, low=low, high=high, knn=knn, logme=logme(x, wanted),
        h_score=h_score(x, subset.targets) if single else None,
    )  # fmt: skip


def _predicted(head: nn.Module, features: Tensor, examples: Examples, task: Task) -> Predictions:
    with torch.no_grad():
        return task.predictions(examples, task.probabilities(head(features).cpu()).numpy())
