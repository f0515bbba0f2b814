"""Improving a run: evidence, proposals, and trials on validation; the test split is never used."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from headstart.artifacts.artifact import fields_of
from headstart.backbones.backbone import Backbone
from headstart.comparison.rank import rung_probes
from headstart.comparison.trials.containment import contained
from headstart.comparison.trials.trial import ANSWERS, run_trial
from headstart.comparison.trials.workshop import Workshop
from headstart.core.errors import ConfigurationError, HeadstartError
from headstart.core.fields import configured
from headstart.core.progress import Progress, Silent
from headstart.core.records.comparison import Comparison
from headstart.core.records.improvement import Improvement, Proposal, Tried
from headstart.data.examples import Data
from headstart.engine.cache.cache import Cache, all_features
from headstart.engine.feed.feed import Feed
from headstart.engine.job import Options
from headstart.engine.machine.precision import Compute, surroundings
from headstart.judging.advice.propose import ALPHA, Evidence, proposals
from headstart.judging.advice.suspects import suspects
from headstart.methods.heads.probe import Probe
from headstart.methods.method import Method, method_class, settled
from headstart.stats.intervals import interval
from headstart.stats.metrics import Metric
from headstart.stats.paired import compare, holm
from headstart.stats.predictions import Predictions

FAILURES = (HeadstartError, ValueError, RuntimeError, MemoryError)
"errors that end one training but not the others"


def improve(
    record: Comparison, name: str, data: Data, backbone: Backbone, compute: Compute, options: Options, *,
    run: str, validation: Mapping[str, Sequence[Predictions]] | None = None,
    seeds: Sequence[int] = (0, 1, 2), budget: float | None = None,
    only_propose: bool = False, earlier: Sequence[Tried] = (), progress: Progress | None = None,
    keep: Callable[[Improvement], object] = lambda so_far: None,
) -> Improvement:  # fmt: skip
    """Proposals for one method of a run, and the results of their trials.

    validation: predictions of each method of the run for the validation examples, one per seed.
    options: training options of the run.
    budget: seconds after which no further trial starts.
    earlier: trials that are not repeated.
    keep: called with the record after each trial and at the end.

    Each change is trained with every seed, like the unchanged method, and compared on validation, paired by example;
    after Holm's correction it helped, hurt, or is undecided.
    """
    progress, start = progress or Silent(), time.perf_counter()
    row = record.row(name)
    if not len(data.validation):
        raise ConfigurationError("to improve a run takes validation examples, and there are none.")
    where = surroundings(compute)
    measure = data.task.metric(record.task.metric)
    progress.stage("gather evidence")
    doubted = _suspects(data, backbone, compute)
    told = {int(data.train.ids[at]): data.task.labels[label] for at, label in doubted.items()}
    places = dict(zip(told, _shown(data, list(doubted))))
    probes = rung_probes(data, backbone, measure, compute) if data.task.pooled else ()
    backbone.module.to(compute.device)
    tried = _taken_up(
        proposals(Evidence(record, name, data.task.modality, probes, told, places, validation or {})), earlier
    )

    def so_far(needed: float | None = None) -> Improvement:
        return Improvement(
            run, name, measure.name, len(seeds), len(data.validation), tuple(tried), where,
            time.perf_counter() - start, budget, needed, record.environment.started,
        )  # fmt: skip

    open_ones = [at for at, one in enumerate(tried) if one.proposal.can_be_tried and one.difference is None]
    needed = None
    if open_ones and not only_propose:
        one = len(seeds) * (row.train_seconds or 0.0)
        if budget is not None and time.perf_counter() - start + 2 * one > budget:
            needed = time.perf_counter() - start + 2 * one
            for at in open_ones:
                tried[at] = replace(tried[at], status="no time")
        else:
            trials = _Trials(data, backbone, compute, options, measure, seeds, progress)
            for _ in trials.of(tried, open_ones, name, row.configuration, start, budget):
                keep(so_far())
            # measured here, because this machine may be slower than the run's
            if all(tried[at].status == "no time" for at in open_ones):
                needed = time.perf_counter() - start + trials.seconds
    result = so_far(needed)
    keep(result)
    return result


def _taken_up(found: Sequence[Proposal], earlier: Sequence[Tried]) -> list[Tried]:
    """The proposals with results of earlier equal trials, and earlier trials without current evidence."""
    tried = [Tried(one, "yours") for one in found]
    for old in earlier:
        at = next((at for at, one in enumerate(tried) if one.proposal.same_trial(old.proposal)), None)
        if at is not None and old.proposal.can_be_tried and old.status != "no time":
            tried[at] = replace(old, proposal=tried[at].proposal)
        elif at is None and old.difference is not None:
            tried.append(old)
    return tried


def _shown(data: Data, positions: Sequence[int], most: int = 60) -> list[str]:
    """Places of training examples with the start of their texts: `reviews.csv:17 "a good …"`."""
    if not positions:
        return []
    places = data.train.places(positions)
    if data.task.input.is_image:
        return places
    texts = [" | ".join(one) if isinstance(one, tuple) else str(one) for one in data.train.inputs(positions)]
    return [
        f'{place} "{text if len(text) <= most else text[: most - 1] + "…"}"'
        for place, text in zip(places, (" ".join(text.split()) for text in texts))
    ]


def _suspects(data: Data, backbone: Backbone, compute: Compute) -> dict[int, int]:
    cache = Cache(backbone, compute)
    backbone.module.to(compute.device)
    try:
        features = all_features(cache, Feed("train", data.train, backbone), Options.batch_tokens, "top")
        return suspects(features, data.train.targets, data.task, Probe.penalty)
    finally:
        cache.close()


def _failed(error: Exception) -> str:
    return f"failed: {(str(error).splitlines() or [type(error).__name__])[0]}"


class _Trials:
    """Trainings with their validation results."""

    def __init__(
        self, data: Data, backbone: Backbone, compute: Compute, options: Options, measure: Metric,
        seeds: Sequence[int], progress: Progress,
    ) -> None:  # fmt: skip
        self.data, self.backbone, self.compute, self.options = data, backbone, compute, options
        self.measure, self.seeds, self.progress = measure, seeds, progress
        self.seconds = 0.0  # of the unchanged method

    def of(
        self, tried: list[Tried], open_ones: Sequence[int], name: str, configuration: Mapping[str, object],
        start: float, budget: float | None,
    ) -> Iterator[int]:  # fmt: skip
        """Runs the trials at these indices of the list and stores their results; yields each index."""
        was = settled(configured(method_class(name), configuration, name), self.backbone)
        begin = time.perf_counter()
        try:
            base = self._trained(name, was, self.data, self.options)
            before = interval(base, self.measure)[0]
        except FAILURES as error:
            for at in open_ones:
                tried[at] = replace(tried[at], status=_failed(error))
            return
        self.seconds = time.perf_counter() - begin
        for at in open_ones:
            proposal = tried[at].proposal
            if budget is not None and time.perf_counter() - start + self.seconds > budget:
                tried[at] = Tried(proposal, "no time", before)
                continue
            begin = time.perf_counter()
            try:
                method = self._method(proposal, name, was)
                runs = self._of(proposal, method)
                paired = compare(runs, base, self.measure)
            except FAILURES as error:
                tried[at] = Tried(proposal, _failed(error), before)
                yield at
                continue
            tried[at] = Tried(
                proposal, "", before, interval(runs, self.measure)[0], paired.difference, paired.low, paired.high,
                paired.p_value, None, time.perf_counter() - begin, fields_of(method),
            )  # fmt: skip
            self._decide(tried)
            self.progress.say(f"{proposal.name}: {tried[at].status}")
            yield at

    def _decide(self, tried: list[Tried]) -> None:
        """Holm's correction over all trials so far."""
        sign = 1 if self.measure.higher_is_better else -1
        places = [at for at, one in enumerate(tried) if one.p_value is not None]
        for at, adjusted in zip(places, holm([tried[at].p_value or 0.0 for at in places])):
            better = "helped" if sign * (tried[at].difference or 0.0) > 0 else "hurt"
            tried[at] = replace(tried[at], status=better if adjusted <= ALPHA else "undecided", p_adjusted=adjusted)

    def _method(self, proposal: Proposal, name: str, was: Method) -> Method:
        """The method with the change, its learning rate settled."""
        method = was
        if proposal.method and proposal.method != name.partition("@")[0]:
            method = configured(method_class(proposal.method), proposal.settings, proposal.method)
        elif proposal.settings:
            method = replace(was, **proposal.settings)
        return settled(method, self.backbone)

    def _of(self, proposal: Proposal, method: Method) -> list[Predictions]:
        kept = ~np.isin(self.data.train.ids, proposal.without)
        data = replace(self.data, train=self.data.train.take(np.flatnonzero(kept))) if proposal.without else self.data
        return self._trained(proposal.name.replace(" ", "-"), method, data, replace(self.options, **proposal.options))

    def _trained(self, name: str, method: Method, data: Data, options: Options) -> list[Predictions]:
        """Validation predictions of each seed, with its best weights."""
        found = []
        with tempfile.TemporaryDirectory() as folder:
            for seed in self.seeds:
                with (
                    Workshop(data, self.backbone, options, self.compute, self.measure) as workshop,
                    contained(Path(folder), name),
                ):
                    spec = workshop.spec(name, method, seed, keeps=False)
                    place = Path(folder) / spec.key
                    run_trial(spec, place, workshop, self.progress)
                    found.append(Predictions.read(place / ANSWERS))
        return found
