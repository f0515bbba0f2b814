"""What Python users call, such as `read`, `compare`, `predict` and `judge`. The command line is a layer over it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart import __version__
from headstart.core.comparison import Comparison
from headstart.core.duration import seconds_of
from headstart.core.errors import ConfigurationError, HeadstartError, unknown
from headstart.core.fields import configured, converted
from headstart.core.files import write_text
from headstart.core.progress import Progress, Silent
from headstart.core.runs import PROGRESS, close_run, is_complete, open_run, run_folder

if TYPE_CHECKING:
    from headstart.artifacts.predictor import Prediction
    from headstart.backbones.backbone import Backbone
    from headstart.core.curve import LearningCurve
    from headstart.core.evaluation import Evaluation, Judged
    from headstart.core.improvement import Improvement
    from headstart.core.ranking import Ranking
    from headstart.data.examples import Data
    from headstart.engine.finder import Found
    from headstart.evaluate.parts import Parts

READ = ("text", "label", "group", "validation", "test", "kind", "seed", "class_weights")
"options that concern how the data are read"
LOAD = ("pooling", "max_length", "image_size", "blocks", "trust_remote_code")
"options that concern how the model is loaded"
OTHER = (
    "methods",
    "seeds",
    "trials",
    "metric",
    "device",
    "precision",
    "workers",
    "settings",
    "race",
    "budget",
    "keep",
    "by",
)
EMBEDDED_MODEL = "builtin/glance"


def load(source: Any = EMBEDDED_MODEL, **options: Any) -> Backbone:
    """A backbone: a hub name, a folder, `timm/…`, `torchvision/…`, `builtin/…`, or a torch module of your own.

    Options: pooling, max_length, image_size, blocks, trust_remote_code; see `headstart.backbones.load`.
    """
    from headstart.backbones.load import load as load_backbone

    return load_backbone(source, **options)


def read(source: Any = None, **options: Any) -> Data:
    """Labelled examples, audited and split: a file, a folder, a hub name; without one, the embedded digits.

    Options: text, label, group, validation, test, kind, seed, class_weights; see `headstart.data.read`.
    """
    if source is None:
        from headstart.data.embedded import digits

        return digits()
    from headstart.data.read import read as read_data

    return read_data(source, **options)


def compare(
    data: Any = None, model: Any = None, *, out: str | Path | None = None, resume: bool = False,
    progress: Progress | None = None, opened: Callable[[str], object] | None = None, remember: bool = True,
    **options: Any,
) -> Comparison:  # fmt: skip
    """Every method side by side on these data; returns the record and leaves a run folder.

    data: what `read` takes, or what it returned. model: what `load` takes, or what it returned.
    options: methods (names), seeds, trials, race (stop early what is clearly behind), budget (`"10m"`: a race into
        the given time), keep (every method's models, not the best alone), metric, device, precision, workers, settings
        (`{"lora.rank": 16}`), by (a column that tells the test set apart, as several test files do), those of
        `read` and `load`, and those of training (`epochs`, `batch_size`, …; `headstart.engine.job.Options`).
    opened: called with the run's folder once it is made. remember: whether the run goes into the history.
    Raises subclasses of `HeadstartError` for what the user can mend.
    """
    from headstart.data.examples import Data as Read
    from headstart.engine.job import Options
    from headstart.engine.precision import compute
    from headstart.evaluate.compare import check
    from headstart.evaluate.compare import compare as run
    from headstart.evaluate.selection import DEFAULT_METHODS, methods_named
    from headstart.report.page import page

    options = {name: value for name, value in options.items() if value is not None}
    _known(options, (*READ, *LOAD, *OTHER, *_names(Options)))
    seeds, trials = (converted(options.get(name, 3), int, name) for name in ("seeds", "trials"))
    trained = configured(Options, _only(options, sorted(_names(Options))), "training")
    _in_range(trained)
    named = options.get("methods", DEFAULT_METHODS)
    named = [name.strip() for name in named.split(",")] if isinstance(named, str) else list(named)
    methods = methods_named(named, options.get("settings", {}))
    budget = seconds_of(options["budget"]) if "budget" in options else None
    computing = compute(options.get("device"), options.get("precision"))
    configuration = {
        "data": data if isinstance(data, (str, Path, type(None))) else type(data).__name__,
        "model": model if isinstance(model, (str, Path, type(None))) else type(model).__name__,
        **options,
    }
    configuration = {k: str(v) if isinstance(v, Path) else v for k, v in configuration.items()}
    folder = run_folder(out, _name(data), configuration, resume)
    if resume and is_complete(folder):
        return _finished(folder, opened)
    workers = options.get("workers", 0)
    examples = data if isinstance(data, Read) else read(data, **_only(options, READ), **_workers(data, workers))
    methods = {name: method.for_classes(examples.task.labels) for name, method in methods.items()}
    backbone = _backbone(model, examples, _only(options, LOAD))
    parts = _parts(examples, data, options)
    check(examples, backbone, methods, options.get("metric"), seeds, trials, trained)
    inputs = {
        "data": examples.record.fingerprint, "labels": "|".join(examples.task.labels), "model": backbone.fingerprint,
        "device": str(computing.device), "precision": computing.precision, "headstart": __version__,
    }  # fmt: skip
    open_run(folder, configuration, inputs, resume)
    if opened:
        opened(str(folder))
    if progress and not isinstance(data, Read):  # whoever has read them has seen what they are
        progress.say(str(examples))
    try:
        result = run(
            examples,
            backbone,
            methods,
            folder=folder,
            compute=computing,
            options=trained,
            seeds=seeds,
            trials=trials,
            metric_name=options.get("metric"),
            race=converted(options.get("race", False), bool, "race"),
            budget=budget,
            keep=converted(options.get("keep", False), bool, "keep"),
            parts=parts,
            workers=workers,
            configuration=configuration,
            progress=progress,
        )
    except (HeadstartError, OSError, MemoryError):
        close_run(folder)
        raise
    write_text(folder / "report.html", page(result))
    _cards(folder, result)
    if remember:
        _remember(folder, result, progress)
    return result


def _parts(examples: Data, source: Any, options: Mapping[str, Any]) -> Parts:
    """The parts of the test set that are told apart: by the column asked for, else by file where several were given."""
    from headstart.data.by_place import column_by_place
    from headstart.data.examples import Data as Read
    from headstart.evaluate.parts import by_column, by_file

    if (name := options.get("by")) is None:
        return by_file(examples.test) if isinstance(options.get("test"), list) else {}
    if source is None or isinstance(source, Read):
        raise ConfigurationError(f"by={name!r} needs the file that the data come from; give it as data.")
    held = column_by_place(source, name, options.get("validation"), options.get("test"))
    return by_column(examples.test, held, name)


def _remember(folder: Path, result: Comparison, progress: Progress | None) -> None:
    """The run goes into the history; one that can't be written is told, and stops nothing."""
    from headstart.core import history
    from headstart.core.errors import ResourceError

    try:
        history.remember(history.entry_of(folder, result))
    except ResourceError as error:
        if progress:
            progress.say(f"not in the history: {error}")


def _cards(folder: Path, result: Comparison, judged: Sequence[Judged] = ()) -> None:
    """A model card beside each model of the run; after an evaluation beside those that it judged, with what it said."""
    from headstart.artifacts.artifact import Artifact
    from headstart.report.card import card

    said = {one.name.rpartition(": ")[2]: one for one in judged}
    for file in (folder / "model" / "artifact.json", *sorted((folder / "models").glob("*/seed*/artifact.json"))):
        place = file.parent
        name = place.parent.name if place.name != "model" else result.verdict.method or Artifact.open(place).method
        if name in said or not judged:
            write_text(place / "README.md", card(result, result.row(name), said.get(name)))


def _finished(folder: Path, opened: Callable[[str], object] | None) -> Comparison:
    """The record of a run that had come to its end; what an interruption in its last moment left is put right."""
    from headstart.report.page import page

    result = Comparison.read(folder / "comparison.json")
    shutil.rmtree(folder / PROGRESS, ignore_errors=True)
    if not (folder / "report.html").exists():
        write_text(folder / "report.html", page(result))
    if not (folder / "model" / "README.md").exists():
        _cards(folder, result)
    if opened:
        opened(str(folder))
    return result


def fit(data: Any, model: Any = None, *, method: str = "lora", **options: Any) -> Comparison:
    """One method, tuned on validation and tested once: `compare` with a single row. Same options and run folder."""
    return compare(data, model, **{"seeds": 1, **options, "methods": [method]})


def predict(run: str | Path, inputs: Sequence[Any] | str, *, model: Any = None, **options: Any) -> list[Prediction]:
    """Labels and probabilities for texts, pairs of texts, or images (paths, bytes, PIL), by a run's saved model.

    model: only where the run's base was a torch module built in Python: that module, which reads images as it did in
    training, or what `load` made of it. Options: device, precision.
    """
    from headstart.artifacts.predictor import Predictor

    if isinstance(run, Comparison):
        raise ConfigurationError("predict takes the run's folder, as in compare(…, out='runs/film'), not the record.")
    backbone = model if model is None or hasattr(model, "ladder") else _as_trained(model, run)
    predictor = Predictor(run, backbone=backbone, **options)
    try:
        return predictor([inputs] if isinstance(inputs, (str, bytes)) else inputs)
    finally:
        predictor.close()


def _as_trained(model: Any, run: str | Path) -> Backbone:
    """The module under the preparation of images that the run's artifact has recorded."""
    from headstart.artifacts.artifact import Artifact

    artifact = Artifact.open(run)
    if artifact.task.modality != "image":
        raise ConfigurationError("a module for texts needs its tokenizer: model=headstart.load(module, tokenizer=…).")
    told, options = artifact.preparation, artifact.base.options
    if "features" in options:
        raise ConfigurationError("this module was given with features=…: model=headstart.load(module, features=…).")
    kept = {name: tuple(told[key]) for name, key in (("image_size", "size"), ("mean", "mean"), ("std", "std"))}
    return load(model, **{**options, **kept})


def judge(
    runs: str | Path | Sequence[str | Path], *, suite: str | Path | None = None, methods: Sequence[str] | None = None,
    data: Any = None, model: Any = None, device: str | None = None, precision: str | None = None,
    out: str | Path | None = None, progress: Progress | None = None,
) -> Evaluation:  # fmt: skip
    """The models of runs against the base that they share: what is better, what was lost, what it costs.

    runs: folders that `compare` or `fit` left; of a run with `keep=True` all methods and seeds. suite: a TOML file of
    checks, or None for the task's default. methods: only these. data: where the runs' examples lie now; model: where
    their base lies now. out: the record's file, or None for `evaluation.json` in the first run's folder; beside it
    stands the page.
    Raises subclasses of `HeadstartError` for what the user can mend.
    """
    from headstart.evaluate.runs import evaluate as run
    from headstart.report.evaluation_page import page

    given = [runs] if isinstance(runs, (str, Path)) else list(runs)
    named = [methods] if isinstance(methods, str) else methods
    found = run(
        [Path(one) for one in given], suite, named, data, model, device, precision, read=read, progress=progress
    )
    file = Path(out or Path(given[0]) / "evaluation.json")
    found.write(file)
    write_text(file.with_suffix(".html"), page(found))
    for folder in map(Path, given if out is None else ()):
        if (folder / "comparison.json").is_file():
            mine = [one for one in found.models if Path(one.models[0]).is_relative_to(folder)]
            if mine:
                _cards(folder, Comparison.read(folder / "comparison.json"), mine)
    return found


def improve(
    run: str | Path, *, method: str | None = None, budget: str | float | None = None, seeds: int = 3,
    propose: bool = False, data: Any = None, model: Any = None, device: str | None = None,
    precision: str | None = None, progress: Progress | None = None,
) -> Improvement:  # fmt: skip
    """What to change in a run that `compare` or `fit` left, each with its evidence, and what it did on validation.

    method: of the run, or the one that it recommends. budget: seconds, or text such as `"10m"`, after which no further
    trial is begun. propose: only propose. data, model: where the run's examples and base lie now. `improvement.json` in
    the run's folder is written after each trial. Raises subclasses of `HeadstartError` for what the user can mend.
    """
    from headstart.evaluate.runs import improved

    given = seconds_of(budget) if isinstance(budget, str) else budget
    return improved(
        Path(run), method, given, tuple(range(seeds)), propose, data, model, device, precision, read=read,
        progress=progress,
    )  # fmt: skip


def curve(
    data: Any = None, model: Any = None, *, sizes: Sequence[int] | None = None, draws: int = 3,
    targets: Sequence[float] = (), out: str | Path | None = None, resume: bool = False,
    progress: Progress | None = None, opened: Callable[[str], object] | None = None, **options: Any,
) -> LearningCurve:  # fmt: skip
    """How quality grows with labels, method by method, and how many more would reach a given value.

    sizes: labels a class (of a task without classes, examples); the usual 10, 30, 100, … and all where left out.
    draws: subsets of each size, nested over the sizes. targets: values of the metric to forecast the examples for.
    options: methods, trials (1 where left out), metric and the others of `compare`. Leaves `curve.json`, `curve.svg`.
    """
    import time

    from headstart.core.curve import LearningCurve
    from headstart.core.environment import environment
    from headstart.data.examples import Data as Read
    from headstart.engine.precision import compute
    from headstart.evaluate.curve import METHODS, laws, readings, sizes_for
    from headstart.evaluate.metrics import metric
    from headstart.report.plots import learning_curve

    begun = time.perf_counter()
    options = {"methods": METHODS, "trials": 1, **{k: v for k, v in options.items() if v is not None}}
    for name in ("seeds", "budget", "keep"):
        if name in options:
            raise ConfigurationError(f"a learning curve takes no {name}: its draws are {draws} trainings of each size.")
    if draws < 1:
        raise ConfigurationError(f"draws is {draws}, but has to be at least 1.")
    told = {"sizes": sizes, "draws": draws, "targets": list(targets)}
    configuration = {
        "data": data if isinstance(data, (str, Path, type(None))) else type(data).__name__,
        "model": model if isinstance(model, (str, Path, type(None))) else type(model).__name__,
        **told, **options,
    }  # fmt: skip
    configuration = {k: str(v) if isinstance(v, Path) else v for k, v in configuration.items()}
    folder = run_folder(out, f"{_name(data)}-curve", configuration, resume)
    examples = data if isinstance(data, Read) else read(data, **_only(options, READ))
    measure = metric(examples.task.kind, options.get("metric"))
    chosen = sizes_for(examples, sizes)
    backbone = _backbone(model, examples, _only(options, LOAD))
    computing = compute(options.get("device"), options.get("precision"))
    inputs = {"data": examples.record.fingerprint, "model": backbone.fingerprint}
    open_run(folder, configuration, inputs, resume)
    if opened:
        opened(str(folder))
    rest = {k: v for k, v in options.items() if k not in (*READ, *LOAD)}

    watched = progress or Silent()
    if not isinstance(data, Read):
        watched.say(str(examples))

    def one(part: Data, place: Path, again: bool) -> Comparison:
        return compare(part, backbone, out=place, resume=again, seeds=1, progress=progress, remember=False, **rest)

    try:
        found = readings(examples, chosen, draws, folder, measure, one, watched)
    except (HeadstartError, OSError, MemoryError):
        close_run(folder)
        raise
    result = LearningCurve(
        examples.record.source, examples.record.fingerprint, backbone.source, measure.name, measure.higher_is_better,
        chosen, tuple(found), tuple(laws(found, measure, targets)),
        environment(str(computing.device), computing.precision), time.perf_counter() - begun, configuration,
    )  # fmt: skip
    write_text(folder / "curve.svg", learning_curve(result))
    result.write(folder / "curve.json")
    shutil.rmtree(folder / PROGRESS, ignore_errors=True)
    return result


def find_rate(
    data: Any = None, model: Any = None, *, method: str = "full", settings: Mapping[str, Any] | None = None,
    steps: int = 100, progress: Progress | None = None, **options: Any,
) -> Found:  # fmt: skip
    """A learning rate for a method, by a short training in which the rate rises; the model is left as it was."""
    import dataclasses
    from contextlib import closing

    from headstart.engine.adapt import Setting, attached
    from headstart.engine.cache import Cache
    from headstart.engine.feed import Feed
    from headstart.engine.finder import find_rate as find
    from headstart.engine.job import Options
    from headstart.engine.precision import compute
    from headstart.evaluate.bench import same_modality
    from headstart.methods.method import METHODS

    _known(options, (*READ, *LOAD, *OTHER, *_names(Options)))
    chosen = configured(METHODS[method], settings or {}, method)
    if chosen.solved:
        raise ConfigurationError(f"{method} has no learning rate to find.")
    trained = configured(Options, _only(options, sorted(_names(Options))), "training")
    _in_range(trained)
    computing = compute(options.get("device"), options.get("precision"))
    examples = read(data, **_only(options, READ))
    backbone = _backbone(model, examples, _only(options, LOAD))
    same_modality(examples, backbone)
    backbone.module.to(computing.device)
    feed = Feed("train", examples.train, backbone)
    trained = dataclasses.replace(trained, cache=False)
    if progress:
        progress.stage("find-rate", steps)
    with closing(Cache(backbone, computing)) as cache:
        setting = Setting(backbone, examples.task, feed, feed, trained, computing, lambda *_: (0.0, 0.0), cache)
        with attached(setting, chosen, seed=0) as job:
            if job.plan.penalties:
                job.hold()
            return find(job, steps=steps, progress=progress)


def rank(
    data: Any, models: Sequence[str], *, examples: int = 1000, rungs: bool = False, confirm: int = 0,
    progress: Progress | None = None, **options: Any,
) -> Ranking:  # fmt: skip
    """Which of these pretrained models fits the data best, scored without training any; best first, by LogME.

    data: what `read` takes, or what it returned. models: what `load` takes, by name.
    examples: most training examples that are scored on. rungs: score each rung of each model too.
    confirm: so many of the first are then fine-tuned on all training examples, in a race on validation.
    options: metric, device, precision, those of `read` and `load`. The test split is not looked at.
    """
    from functools import partial

    from headstart.core.environment import environment
    from headstart.core.ranking import Ranking
    from headstart.data.examples import Data as Read
    from headstart.engine.precision import compute
    from headstart.evaluate.confirm import confirm as tuned
    from headstart.evaluate.metrics import metric
    from headstart.evaluate.rank import rank as run

    options = {name: value for name, value in options.items() if value is not None}
    _known(options, (*READ, *LOAD, "metric", "device", "precision"))
    models = [models] if isinstance(models, str) else list(models)
    if not models:
        raise ConfigurationError("rank needs models to choose from: --models A B C.")
    if twice := sorted({name for name in models if models.count(name) > 1}):
        raise ConfigurationError(f"these models are named twice: {', '.join(twice)}.")
    if confirm < 0:
        raise ConfigurationError(f"confirm is {confirm}, but has to be 0 or more.")
    if examples < 10:
        raise ConfigurationError(f"examples is {examples}, but has to be at least 10.")
    computing = compute(options.get("device"), options.get("precision"))
    found = data if isinstance(data, Read) else read(data, **_only(options, READ))
    measure = metric(found.task.kind, options.get("metric"))
    loaded = partial(load, **_only(options, LOAD))
    candidates = run(found, models, loaded, measure, computing, examples=examples, rungs=rungs, progress=progress)
    if confirm:
        candidates = tuned(found, candidates, confirm, loaded, measure, computing, progress=progress)
    return Ranking(
        found.record.source, found.record.fingerprint, measure.name, min(examples, len(found.train)),
        len(found.validation), candidates, environment(str(computing.device), computing.precision),
        {"models": models, "examples": examples, "rungs": rungs, "confirm": confirm, **options},
    )  # fmt: skip


def _names(cls: Any) -> set[str]:
    import dataclasses

    return {field.name for field in dataclasses.fields(cls)}


def _known(options: Mapping[str, Any], allowed: Sequence[str]) -> None:
    for name in options:
        if name not in allowed:
            raise unknown("option", name, allowed)


def _in_range(options: Any) -> None:
    least = {"epochs": 1, "batch_size": 1, "batch_tokens": 1, "patience": 1, "cache_bytes": 0}
    for name, lowest in least.items():
        value = getattr(options, name)
        if value is not None and value < lowest:
            raise ConfigurationError(f"{name} is {value}, but has to be at least {lowest}.")
    if not options.clip > 0:
        raise ConfigurationError(f"clip is {options.clip}, but has to be above 0.")
    if not 0 <= options.word_dropout < 1:
        raise ConfigurationError(f"word_dropout is {options.word_dropout}, but has to lie in [0, 1).")


def _backbone(model: Any, data: Data, options: Mapping[str, Any]) -> Backbone:
    if model is None:
        from headstart.backbones.builtin import DEFAULTS

        model = DEFAULTS[data.task.modality]
    return model if hasattr(model, "ladder") else load(model, **options)


def _only(options: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: options[name] for name in names if name in options}


def _workers(data: Any, workers: int) -> dict[str, int]:
    return {} if data is None else {"workers": workers}


def _name(data: Any) -> str:
    if data is None:
        return "digits"
    source = data.record.source if hasattr(data, "record") else data
    return (Path(source).stem if isinstance(source, (str, Path)) else "") or "data"
