"""Choosing before training: `rank` for the model, `find_rate` for the learning rate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from headstart.api.loading import backbone_for, load, read, seen_by
from headstart.api.options import LOAD, OTHER, READ, in_range, known, names_of, only
from headstart.core.errors import ConfigurationError
from headstart.core.fields import configured
from headstart.core.progress import Progress

if TYPE_CHECKING:
    from headstart.backbones.backbone import Backbone
    from headstart.core.records.ranking import Ranking
    from headstart.engine.finder import Found


def rank(
    data: Any, models: Sequence[str], *, examples: int = 1000, rungs: bool = False, confirm: int = 0,
    progress: Progress | None = None, **options: Any,
) -> Ranking:  # fmt: skip
    """Ranks pretrained models by LogME (transferability estimation), without training any; best first.

    data: a source that `read` takes, or its result.
    models: names that `load` takes.
    examples: maximum number of training examples used.
    rungs: score each rung of each model too.
    confirm: number of the best models that are then fine-tuned on all training examples, in a race on validation.
    options: metric, device, precision, and the options of `read` and `load`.

    The test split is never used.
    """
    from dataclasses import replace
    from functools import partial
    from pathlib import Path

    from headstart.comparison.confirm import confirm as tuned
    from headstart.comparison.rank import rank as run
    from headstart.core.records.ranking import Ranking
    from headstart.data.examples import Data as Read
    from headstart.engine.machine.precision import compute, surroundings
    from headstart.stats.metric_choice import chosen_metric

    options = {name: value for name, value in options.items() if value is not None}
    known(options, (*READ, *LOAD, "metric", "device", "precision"))
    models = [models] if isinstance(models, str) else list(models)
    if not models:
        raise ConfigurationError("rank needs models to choose from: --models A B C.")
    places = [Path(name).expanduser().resolve() if Path(name).expanduser().is_dir() else name for name in models]
    if twice := sorted({name for name, place in zip(models, places) if places.count(place) > 1}):
        raise ConfigurationError(f"these models are named twice: {', '.join(twice)}.")
    if confirm < 0:
        raise ConfigurationError(f"confirm is {confirm}, but has to be 0 or more.")
    if examples < 10:
        raise ConfigurationError(f"examples is {examples}, but has to be at least 10.")
    computing = compute(options.get("device"), options.get("precision"))
    where = surroundings(computing)
    found = data if isinstance(data, Read) else read(data, **only(options, READ))
    measure, _ = chosen_metric(found, options.get("metric"))
    loaded, seen = partial(load, **only(options, LOAD)), dict[str, tuple[str, ...]]()

    def looked_at(name: str) -> Backbone:
        backbone = load(name, **only(options, LOAD))
        seen[name] = seen_by(backbone, found)
        return backbone

    candidates = run(found, models, looked_at, measure, computing, examples=examples, rungs=rungs, progress=progress)
    candidates = tuple(replace(one, findings=seen.get(one.model, ())) for one in candidates)
    if confirm:
        candidates = tuned(found, candidates, confirm, loaded, measure, computing, progress=progress)
    return Ranking(
        found.record.source, found.record.fingerprint, measure.name, min(examples, len(found.train)),
        len(found.validation), candidates, where,
        {"models": models, "examples": examples, "rungs": rungs, "confirm": confirm, **options},
    )  # fmt: skip


def find_rate(
    data: Any = None, model: Any = None, *, method: str = "full", settings: Mapping[str, Any] | None = None,
    steps: int = 100, progress: Progress | None = None, **options: Any,
) -> Found:  # fmt: skip
    """Learning-rate range test: a short training with a rising rate suggests one. The model is restored afterwards.

    data: a source that `read` takes, or its result. model: a source that `load` takes, or its result.

    The training is that of `compare` and `fit`: the same targets, start of the head and augmentation.
    """
    import dataclasses

    from headstart.comparison.asked import Asked
    from headstart.comparison.trials.workshop import Workshop
    from headstart.data.examples import Data as Read
    from headstart.engine.adapt import attached, prepare
    from headstart.engine.finder import find_rate as find
    from headstart.engine.job import Options
    from headstart.engine.machine.precision import compute
    from headstart.methods.method import method_class

    known(options, (*READ, *LOAD, *OTHER, *names_of(Options)))
    chosen = configured(method_class(method), settings or {}, method)
    if chosen.solved:
        raise ConfigurationError(f"{method} has no learning rate to find.")
    trained = configured(Options, only(options, sorted(names_of(Options))), "training")
    in_range(trained)
    computing = compute(options.get("device"), options.get("precision"))
    examples = data if isinstance(data, Read) else read(data, **only(options, READ))
    backbone = backbone_for(model, examples, only(options, LOAD))
    if progress:
        for sentence in seen_by(backbone, examples):
            progress.say(sentence)
    Asked({method: chosen}, trained).check(examples, backbone)
    trained = dataclasses.replace(trained, cache=False)
    if progress:
        progress.stage("find-rate", steps)
    with (
        Workshop(examples, backbone, trained, computing, examples.task.metric()) as workshop,
        attached(workshop.setting, workshop.settled(chosen), seed=0) as job,
    ):
        prepare(job, workshop.setting)
        return find(job, steps=steps, progress=progress)
