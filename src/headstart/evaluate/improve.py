"""Improving a run: evidence, proposals, and what they do to validation; the test split is not looked at."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from headstart.backbones.backbone import Backbone
from headstart.core.comparison import Comparison
from headstart.core.environment import environment
from headstart.core.errors import ConfigurationError, HeadstartError, unknown
from headstart.core.evaluation import Judged
from headstart.core.fields import configured
from headstart.core.improvement import Improvement, Proposal, Tried
from headstart.core.progress import Progress, Silent
from headstart.data.examples import Data
from headstart.engine.cache import Cache, all_features
from headstart.engine.feed import Feed
from headstart.engine.job import Options
from headstart.engine.precision import Compute
from headstart.evaluate.bench import Bench
from headstart.evaluate.intervals import interval
from headstart.evaluate.metrics import Metric, metric
from headstart.evaluate.paired import Paired, compare, holm
from headstart.evaluate.predictions import Predictions
from headstart.evaluate.propose import ALPHA, Evidence, proposals
from headstart.evaluate.rank import rung_probes
from headstart.evaluate.suspects import suspects
from headstart.methods.method import Method, method_class
from headstart.methods.probe import Probe

FAILURES = (HeadstartError, ValueError, RuntimeError, MemoryError)
"what may end one training; the others go on"


def improve(
    record: Comparison, method: str | None, data: Data, backbone: Backbone, compute: Compute, options: Options, *,
    run: str, judged: Judged | None = None, seeds: Sequence[int] = (0, 1, 2), budget: float | None = None,
    only_propose: bool = False, progress: Progress | None = None,
    keep: Callable[[Improvement], object] = lambda so_far: None,
) -> Improvement:  # fmt: skip
    """Proposals for one method of a run (the verdict's where none is named), and what became of them.

    options: those that the run trained with. Each change is trained with every seed beside the method as it was, and
    compared on the validation examples, paired; after Holm's correction it helped, hurt, or can't be told. budget:
    seconds after which no further one is begun. keep: given the record after each trial, and in the end.
    """
    progress, start = progress or Silent(), time.perf_counter()
    name = method or record.verdict.method
    rows = {row.method: row for row in record.rows if row.status == "ok" and not row.control}
    if name not in rows:
        raise unknown(f"method of {run}", str(name), rows)
    if not len(data.validation):
        raise ConfigurationError("to improve a run takes validation examples, and there are none.")
    measure = metric(data.task.kind, record.task.metric)
    progress.stage("gather evidence")
    doubted = _suspects(data, backbone, compute)
    told = {int(data.train.ids[at]): data.task.labels[label] for at, label in doubted.items()}
    places = dict(zip(told, data.train.places(list(doubted)))) if doubted else {}
    probes = rung_probes(data, backbone, measure, compute)
    backbone.module.to(compute.device)
    evidence = Evidence(record, name, data.task.modality, probes, judged, told, places)
    found = proposals(evidence)

    def so_far(tried: Sequence[Tried]) -> Improvement:
        return Improvement(
            run, name, measure.name, len(seeds), len(data.validation), tuple(tried), where,
            time.perf_counter() - start, budget,
        )  # fmt: skip

    where = environment(str(compute.device), compute.precision)
    result = so_far([Tried(one, "yours") for one in found])
    if not only_propose and any(one.can_be_tried for one in found):
        trials = _Trials(data, backbone, compute, options, measure, seeds, progress)
        for tried in trials.of(found, name, rows[name].configuration, start, budget):
            result = so_far(tried)
            keep(result)
    keep(result)
    return result


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
    """Trainings that are judged on validation."""

    def __init__(
        self, data: Data, backbone: Backbone, compute: Compute, options: Options, measure: Metric,
        seeds: Sequence[int], progress: Progress,
    ) -> None:  # fmt: skip
        self.data, self.backbone, self.compute, self.options = data, backbone, compute, options
        self.measure, self.seeds, self.progress = measure, seeds, progress

    def of(
        self, found: Sequence[Proposal], name: str, configuration: Mapping[str, object], start: float,
        budget: float | None,
    ) -> Iterator[list[Tried]]:  # fmt: skip
        """All that was tried, again after each trial, with what it says of each of them so far."""
        if budget is not None and time.perf_counter() - start > budget:  # the evidence took it
            yield [Tried(one, "no time" if one.can_be_tried else "yours") for one in found]
            return
        was = configured(method_class(name), configuration, name)
        begin = time.perf_counter()
        try:
            base = self._trained(name, was, self.data, self.options)
            before = interval(base, self.measure)[0]
        except FAILURES as error:
            yield [Tried(one, _failed(error) if one.can_be_tried else "yours") for one in found]
            return
        one, tried, pairs = time.perf_counter() - begin, list[Tried](), dict[int, Paired]()
        for proposal in found:
            if not proposal.can_be_tried:
                tried.append(Tried(proposal, "yours"))
                continue
            if budget is not None and time.perf_counter() - start + one > budget:
                tried.append(Tried(proposal, "no time", before))
                continue
            begin = time.perf_counter()
            try:
                runs = self._of(proposal, name, was)
                paired = compare(runs, base, self.measure)
            except FAILURES as error:
                tried.append(Tried(proposal, _failed(error), before))
                continue
            pairs[len(tried)] = paired
            after = interval(runs, self.measure)[0]
            seconds = time.perf_counter() - begin
            tried.append(Tried(proposal, "", before, after, paired.difference, paired.low, paired.high, None, seconds))
            self._decide(tried, pairs)
            yield tried
        yield tried

    def _decide(self, tried: list[Tried], pairs: Mapping[int, Paired]) -> None:
        """Holm's correction over all trials so far."""
        sign = 1 if self.measure.higher_is_better else -1
        for (place, paired), adjusted in zip(pairs.items(), holm([one.p_value for one in pairs.values()])):
            better = "helped" if sign * paired.difference > 0 else "hurt"
            status = better if adjusted <= ALPHA else "undecided"
            tried[place] = replace(tried[place], status=status, p_adjusted=adjusted)

    def _of(self, proposal: Proposal, name: str, was: Method) -> list[Predictions]:
        method = was
        if proposal.method and proposal.method != name.partition("@")[0]:
            method = configured(method_class(proposal.method), proposal.settings, proposal.method)
        elif proposal.settings:
            method = replace(was, **proposal.settings)
        kept = ~np.isin(self.data.train.ids, proposal.without)
        data = replace(self.data, train=self.data.train.take(np.flatnonzero(kept))) if proposal.without else self.data
        return self._trained(proposal.name.replace(" ", "-"), method, data, replace(self.options, **proposal.options))

    def _trained(self, name: str, method: Method, data: Data, options: Options) -> list[Predictions]:
        """What each seed says of the validation examples, by the weights that were best on them."""
        found = []
        with tempfile.TemporaryDirectory() as folder:
            for seed in self.seeds:
                bench = Bench(
                    data, self.backbone, options, self.compute, Path(folder), self.measure, (seed,), 1,
                    progress=self.progress,
                )  # fmt: skip
                try:
                    found.append(bench.heat(name, bench.settled(method), 1.0).predictions)
                finally:
                    bench.cache.close()
        return found
