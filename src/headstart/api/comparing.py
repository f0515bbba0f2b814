"""`compare` and `fit`: comparing methods in a run folder, from its opening to its model cards."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.api.loading import backbone_for, read, read_by
from headstart.api.options import (
    LOAD,
    OTHER,
    READ,
    configuration_of,
    in_range,
    known,
    names_of,
    only,
    title_of,
    workers_of,
)
from headstart.core.disk.files import write_text
from headstart.core.disk.history import entry_of, remembered
from headstart.core.disk.runs import PROGRESS, close_run, is_complete, open_run, run_folder, same_as_before
from headstart.core.duration import seconds_of
from headstart.core.errors import ConfigurationError, HeadstartError
from headstart.core.fields import configured, converted
from headstart.core.progress import Progress
from headstart.core.records.comparison import Comparison

if TYPE_CHECKING:
    from headstart.comparison.asked import Asked
    from headstart.core.records.evaluation import Judged
    from headstart.data.examples import Data
    from headstart.data.parts import Parts


def compare(
    data: Any = None, model: Any = None, *, out: str | Path | None = None, resume: bool = False,
    progress: Progress | None = None, opened: Callable[[str], object] | None = None, remember: bool = True,
    first_seed: int = 0, **options: Any,
) -> Comparison:  # fmt: skip
    """Compares methods of adapting a model on the same data; returns the record and writes a run folder.

    data: a source that `read` takes, or its result. model: a source that `load` takes, or its result.
    options: those of `read` and `load`, those of training (`epochs`, `batch_size`, …; `headstart.engine.job.Options`),
        metric, device, precision, workers, and:
        methods: names from `headstart methods`.
        seeds: trainings per method. trials: configurations tried per method.
        settings: settings of the methods, such as `{"lora.rank": 16}`.
        race: stop methods early that are clearly behind. budget: race within this time, such as `"10m"`.
        keep: keep the models of all methods, not only of those that the verdict names.
        by: column whose values split the test set into parts with scores; several test files do the same.
        folds: folds of a cross-validation; seeds are then repetitions of it [default: 1].
        prefer: the cost (`training`, `latency`, `size`) or `quality`, by which a method becomes `model/`.
        margin: non-inferiority margin of a cheaper method, in percentage points or in the metric's unit.
    opened: called with the run's folder as soon as it exists. remember: add the run to the history.
    first_seed: first of the consecutive seeds.

    Raises a subclass of `HeadstartError` for a mistake that the user can correct.
    """
    begun = time.perf_counter()
    from headstart.comparison.compare import compare as run
    from headstart.comparison.cross_validation import check_folded, cross_validated
    from headstart.comparison.selection import check_documents, fitting, methods_named, usual_of
    from headstart.data.examples import Data as Read
    from headstart.engine.machine.precision import compute

    options = {name: value for name, value in options.items() if value is not None}
    asked = _asked(options, first_seed)
    folds = converted(options.get("folds", 0), int, "folds")
    computing = compute(options.get("device"), options.get("precision"))
    configuration = configuration_of(data, model, options)
    folder = run_folder(out, title_of(data), configuration, resume)
    workers = workers_of(data, asked.workers)
    examples = data if isinstance(data, Read) else read(data, **only(options, READ), **workers)
    backbone = backbone_for(model, examples, only(options, LOAD))
    examples = read_by(backbone, examples)
    if "methods" not in options:
        task, settings = examples.task, options.get("settings", {})
        named = usual_of(examples)
        usual = methods_named(named, settings) if named else fitting(asked.methods, backbone, task)
        asked = replace(asked, methods=usual)
    asked = replace(
        asked, parts=_parts(examples, data, options),
        methods={name: method.for_classes(examples.task.labels) for name, method in asked.methods.items()},
    )  # fmt: skip
    check_documents(asked.methods, examples)
    asked.check(examples, backbone)
    if "folds" in options:
        check_folded(examples, folds, options)
        run = partial(cross_validated, folds=folds)
    inputs = {
        "data": examples.record.fingerprint, "labels": "|".join(examples.task.labels), "model": backbone.fingerprint,
        "device": str(computing.device), "precision": computing.precision, "headstart": version("headstart"),
    }  # fmt: skip
    if examples.documents is not None:
        inputs["documents"] = examples.documents.fingerprint
    lock = open_run(folder, configuration, inputs, resume)
    if opened:
        opened(str(folder))
    try:
        if resume and is_complete(folder):
            return _finished(folder, {"data": examples.record.fingerprint, "model": backbone.fingerprint})
        if progress and not isinstance(data, Read):  # a caller of `read` has seen the data already
            progress.say(str(examples))
        result = run(
            examples, backbone, asked, folder=folder, compute=computing, configuration=configuration,
            progress=progress, begun=begun,
        )  # fmt: skip
        _write_pages(folder, result)
    except (HeadstartError, OSError, MemoryError, KeyboardInterrupt) as error:
        if remember and (folder / "comparison.json").is_file():
            remembered(entry_of(folder, Comparison.read(folder / "comparison.json")), progress)
        if not isinstance(error, KeyboardInterrupt):
            close_run(folder)
        raise
    finally:
        lock.release()
    if remember:
        remembered(entry_of(folder, result), progress)
    return result


def fit(data: Any, model: Any = None, *, method: str = "lora", **options: Any) -> Comparison:
    """Adapts a model with one method, tuned on validation and tested once: `compare` with one method."""
    return compare(data, model, **{"seeds": 1, **options, "methods": [method]})


def _asked(options: Mapping[str, Any], first_seed: int) -> Asked:
    """Checks the names and values of the options. Raises `ConfigurationError`."""
    from headstart.comparison.asked import Asked
    from headstart.comparison.selection import DEFAULT_METHODS, PROMPTED, methods_named
    from headstart.engine.job import Options

    known(options, (*READ, *LOAD, *OTHER, *names_of(Options)))
    seeds = converted(options.get("seeds", 1 if options.get("folds") else 3), int, "seeds")
    trained = configured(Options, only(options, sorted(names_of(Options))), "training")
    in_range(trained)
    named = options.get("methods", (*PROMPTED, *DEFAULT_METHODS))
    named = [name.strip() for name in named.split(",")] if isinstance(named, str) else list(named)
    return Asked(
        methods=methods_named(named, options.get("settings", {})),
        options=trained,
        seeds=tuple(range(first_seed, first_seed + seeds)),
        trials=converted(options.get("trials", 3), int, "trials"),
        metric=options.get("metric"),
        race=converted(options.get("race", False), bool, "race"),
        budget=seconds_of(options["budget"]) if "budget" in options else None,
        keep=converted(options.get("keep", False), bool, "keep"),
        prefer=str(options.get("prefer", "quality")),
        margin=converted(options["margin"], float, "margin") if "margin" in options else None,
        workers=options.get("workers", 0),
    )


def _parts(examples: Data, source: Any, options: Mapping[str, Any]) -> Parts:
    """Parts of the test set with scores for each: by the values of a column, else by test file if there are several."""
    from headstart.data.examples import Data as Read
    from headstart.data.parts import by_column, by_file
    from headstart.data.tables.by_place import column_by_place

    if (name := options.get("by")) is None:
        return by_file(examples.test) if isinstance(options.get("test"), list) else {}
    if source is None or isinstance(source, Read):
        raise ConfigurationError(f"by={name!r} needs the file that the data come from; give it as data.")
    held = column_by_place(source, name, options.get("validation"), options.get("test"))
    return by_column(examples.test, held, name)


def _write_pages(folder: Path, result: Comparison) -> None:
    from headstart.report.pages.comparison import page

    write_text(folder / "report.html", page(result, folder))
    write_cards(folder, result)


def write_cards(folder: Path, result: Comparison, judged: Sequence[Judged] = ()) -> None:
    """Writes a model card beside each model of the run; with `judged`, only beside judged models, with the results."""
    from headstart.core.disk.kept import kept_models
    from headstart.report.card import card

    results = {one.name.rpartition(": ")[2]: one for one in judged}
    for file in (folder / "model" / "artifact.json", *sorted((folder / "models").glob("*/seed*/artifact.json"))):
        place = file.parent
        name = place.parent.name if place.name != "model" else next(iter(kept_models(folder)))
        if name in results or not judged:
            write_text(place / "README.md", card(result, result.row(name), results.get(name)))


def _finished(folder: Path, inputs: Mapping[str, str]) -> Comparison:
    """The record of a run that is complete; page and cards that an interruption prevented are written.

    inputs: fingerprints of the data and model given now. Raises `ConfigurationError` if the run used others.
    """
    from headstart.report.pages.comparison import page

    result = Comparison.read(folder / "comparison.json")
    same_as_before(folder, {"data": result.data.fingerprint, "model": result.model.fingerprint}, inputs)
    shutil.rmtree(folder / PROGRESS, ignore_errors=True)
    if not (folder / "report.html").exists():
        write_text(folder / "report.html", page(result, folder))
    if not (folder / "model" / "README.md").exists():
        write_cards(folder, result)
    return result
