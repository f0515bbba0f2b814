"""Evaluating run folders: finds their models, data and base, and makes the record."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from headstart.artifacts.artifact import Artifact
from headstart.artifacts.predictor import base_of
from headstart.core.disk.kept import kept_models
from headstart.core.disk.runs import CONFIGURATION, read_configuration
from headstart.core.errors import ArtifactError, ConfigurationError, DataError, unknown
from headstart.core.progress import Progress
from headstart.core.records.comparison import Comparison
from headstart.core.records.data import DataRecord
from headstart.core.records.evaluation import Evaluation
from headstart.data.examples import Data, Examples
from headstart.data.ingest.folds import folded
from headstart.data.tables.by_place import column_by_place
from headstart.engine.machine.precision import compute, surroundings
from headstart.judging.checks.labelled import Labelled
from headstart.judging.checks.material import Material
from headstart.judging.checks.slices import Slice
from headstart.judging.gate import together
from headstart.judging.judge import judge
from headstart.judging.other_run import references, refuse_trained_on
from headstart.judging.suite import Suite, default_suite, read_suite
from headstart.tasks.task import Task

BASE = "probe"
"methods that equal the base, because they only solve a head"
READ = ("text", "label", "group", "cluster_by", "validation", "test", "kind", "seed", "class_weights")


def evaluate(
    runs: Sequence[Path], suite: str | Path | None, methods: Sequence[str] | None, data: Any, model: Any,
    device: str | None, precision: str | None, trust_remote_code: bool = False, *, read: Callable[..., Data],
    against: Path | None = None, tests: Sequence[str] = (), progress: Progress | None = None,
) -> Evaluation:  # fmt: skip
    """See `headstart.api.judge`."""
    asked_for = read_suite(suite) if suite is not None else None
    more = _labelled(tests)
    models, artifacts, probes = _judgeable(runs, methods, against)
    # on other labelled sets alone a probe has a value, so it is judged there
    bases = probes if suite is not None or not tests else []
    models, artifacts = _without(bases, models, artifacts)
    first = next(iter(artifacts.values()))
    if first.task.own_head:
        raise ConfigurationError(
            f"{runs[0]} gives {first.task.noun}, which evaluate does not judge. A comparison has the base beside the "
            "tuned models: headstart compare DATA --model MODEL --methods zeroshot,lora."
        )
    computing = compute(device, precision or first.precision)
    where = surroundings(computing)
    examples = data_of(runs, data, read).decoded_by(first.task.images)
    if examples.task.labels != first.task.labels:
        raise ConfigurationError("the data have other classes than the model; give those of the run with --data.")
    backbone = model if hasattr(model, "ladder") else base_of(first, model, trust_remote_code)
    backbone.module.to(computing.device)
    file = runs[0] / CONFIGURATION
    trained_with = read_configuration(file) if file.is_file() else {}
    checks = _checks(asked_for, more, examples.task, trained_with, gain=against is None)
    source = data if data is not None else trained_with.get("data")
    remarks: list[str] = []
    material = _material(examples, suite, source, trained_with, first.task.kind, read, remarks)
    called = {name: artifact.method for name, artifact in artifacts.items()}
    held_against = None
    if against is not None:
        held_against = references(against, called, first.task, backbone, first.base.fingerprint, trust_remote_code)
        for reference in held_against.values():
            reference.backbone.module.to(computing.device)
        refuse_trained_on(against, _tested(checks, material), lambda: data_of([against], None, read))
    judged, base_cost, notes = judge(
        models, called, backbone, material, checks, computing, against=held_against, progress=progress
    )
    priced = checks.prices.machine_hour is not None or checks.externals
    asked = {"runs": [str(run) for run in runs], "methods": list(methods) if methods else None, "test": list(tests)}
    return Evaluation(
        examples.record.source, examples.record.fingerprint, first.base.source,
        str(suite or ("test" if more else "default")),
        together(one.verdict for one in judged), judged, where, base_cost,
        (*_notes(runs, probes, judged=not bases), *remarks, *notes), asked, checks.prices.currency if priced else "",
        tuple(one.external(base_cost.tokens) for one in checks.externals),
        "base" if against is None else str(against),
    )  # fmt: skip


def _judgeable(
    runs: Sequence[Path], methods: Sequence[str] | None, against: Path | None
) -> tuple[dict[str, list[Path]], dict[str, Artifact], list[str]]:
    """Folders of the seeds and artifact of each asked model, and the names of those that are the base with a probe."""
    models: dict[str, list[Path]] = {}
    for title, run in _titles(runs).items():
        for name, folders in models_of(run, methods).items():
            models[name if len(runs) == 1 else f"{title}: {name}"] = folders
    if methods is not None:
        held = {name.rpartition(": ")[2] for name in models}
        if missing := [name for name in methods if name not in held]:
            raise unknown(f"method of {', '.join(map(str, runs))}", missing[0], held)
        models = {name: folders for name, folders in models.items() if name.rpartition(": ")[2] in methods}
    artifacts = {name: Artifact.open(folders[0]) for name, folders in models.items()}
    probes = [name for name, artifact in artifacts.items() if artifact.method == BASE and against is None]
    return models, artifacts, probes


def _without(
    bases: Sequence[str], models: Mapping[str, list[Path]], artifacts: Mapping[str, Artifact]
) -> tuple[dict[str, list[Path]], dict[str, Artifact]]:
    """The tuned models. Raises `ConfigurationError` if there are none, or if their bases differ."""
    if len(bases) == len(artifacts):
        raise ConfigurationError(
            f"{', '.join(bases)}: the frozen base with a probe is the reference of tuned models, so it has no gains "
            "and losses. Test it on another labelled set with --test FILE, or evaluate a tuned model: train with "
            "--keep to have those of a comparison."
        )
    tuned = {name: artifact for name, artifact in artifacts.items() if name not in bases}
    if len({artifact.base.fingerprint for artifact in tuned.values()}) > 1:
        raise ConfigurationError("these runs have different base models; evaluate them one at a time.")
    return {name: models[name] for name in tuned}, tuned


def _checks(
    suite: Suite | None, more: Sequence[Labelled], task: Task, trained_with: dict[str, Any], gain: bool
) -> Suite:
    """The suite's checks and those of the labelled files; without both, the default ones of the task."""
    if suite is not None:
        return replace(suite, checks=[*suite.checks, *more])
    return Suite(list(more)) if more else default_suite(task, *_parts(trained_with), gain=gain)


def _material(
    examples: Data, suite: str | Path | None, source: Any, trained_with: dict[str, Any], kind: str,
    read: Callable[..., Data], remarks: list[str],
) -> Material:  # fmt: skip
    """The examples of the checks, read by the rules of the training data; adds notes on the files to remarks."""

    def other(file: str, text: str | None, label: str | None) -> Data:
        return read(file, text=text, label=label)

    def column(name: str) -> dict[str, str]:
        if isinstance(source, Data) or source is None:
            return Material(examples, other).column(name)  # raises, because no file has the column
        return column_by_place(source, name, trained_with.get("validation"), trained_with.get("test"))

    def labelled(file: str) -> Examples:
        found = _test_rows(file, source, trained_with | {"kind": kind}, read)
        remarks.extend(_remarks(file, found.record, examples.record))
        return found.test

    return Material(examples, other, Path(suite).parent if suite is not None else Path(), column, labelled)


def _notes(runs: Sequence[Path], probes: Sequence[str], judged: bool) -> list[str]:
    """judged: True if the probes are judged too."""
    of_probes = "its values count, not its gains" if judged else "not judged"
    unsure = [run for run in runs if not (run / "comparison.json").is_file()]
    return [
        *(f"{name} is the base itself, under a probe: {of_probes}" for name in probes),
        *(f"{run} keeps no record of its data, so these examples may be among its training examples" for run in unsure),
    ]


def _labelled(tests: Sequence[str]) -> list[Labelled]:
    """One check per file, named by the file, or by its path if names are equal."""
    if twice := sorted({one for one in tests if tests.count(one) > 1}):
        raise ConfigurationError(f"the test set {twice[0]} is given twice; give each once.")
    stems = [Path(one).stem for one in tests]
    return [Labelled(data=one, name="" if stems.count(stem) == 1 else one) for one, stem in zip(tests, stems)]


def _test_rows(file: str, source: Any, told: dict[str, Any], read: Callable[..., Data]) -> Data:
    """The run's training data with another labelled set, read by their columns and classes, as the test split."""
    if source is None or isinstance(source, Data):
        raise ConfigurationError(
            f"{file} is read by the rules of the training data, which no file holds; name a file of them with --data."
        )
    found = read(source, **{k: told[k] for k in READ if k in told} | {"test": file})
    for finding in found.record.findings:
        if finding.kind == "unknown_label":
            raise DataError(
                f"{file}: {finding.message.removesuffix(', left out')}, at {', '.join(finding.examples[:3])}. The "
                f"model knows {', '.join(found.task.labels)}; give examples of these classes, or train again."
            )
    return found


def _remarks(file: str, found: DataRecord, own: DataRecord) -> Iterator[str]:
    """Notes on the file: rows that can't be used, and numbers in another unit.

    found, own: records of the run's data with and without the file.
    """
    (split,) = (split for split in found.splits if split.name == "test")
    new = {one.message for one in found.findings if one.severity == "error"} - {one.message for one in own.findings}
    why = "; ".join(sorted(re.sub(r"^[\d,]+ rows? |, left out.*", "", message) for message in new))
    if split.left_out:
        yield f"{file}: {split.left_out:,} of {split.left_out + split.size:,} rows can't be used: {why}"
    yield from (f"{file}: {one.message}" for one in found.findings if one.kind == "unit" and one not in own.findings)


def _tested(checks: Suite, material: Material) -> list[tuple[str, Examples]]:
    """All sets with the target's classes in a suite."""
    sets = [(check.title(), material.labelled(check.data)) for check in checks.checks if isinstance(check, Labelled)]
    if len(sets) < len(checks.checks):
        sets.append(("the test split", material.data.test))
    return sets


def _parts(trained_with: dict[str, Any]) -> list[Slice]:
    """The parts of the test set in the run."""
    if trained_with.get("by"):
        return [Slice(by="column", column=trained_with["by"])]
    return [Slice(by="source")] if isinstance(trained_with.get("test"), list) else []


def _titles(runs: Sequence[Path]) -> dict[str, Path]:
    """Names of the runs: the folder's name, or its path if names are equal."""
    places = [run.resolve() for run in runs]
    names = [place.name for place in places]
    if twice := [run for run, place in zip(runs, places) if places.count(place) > 1]:
        raise ConfigurationError(f"{twice[0]} is given twice; give each run once.")
    return {name if names.count(name) == 1 else str(run): run for name, run in zip(names, runs)}


def models_of(run: Path, asked: Sequence[str] | None = None) -> dict[str, list[Path]]:
    """Folders of the seeds by method: all kept methods, or the named ones; without --keep the recommended method."""
    kept = kept_models(run)
    first = next(iter(kept))
    if kept[first][0].parent.parent.name == "models":  # with --keep the recommended method is there too
        return dict(sorted(kept.items()))
    return {name: folders for name, folders in kept.items() if name == first or name in (asked or ())}


def data_of(runs: Sequence[Path], given: Any, read: Callable[..., Data]) -> Data:
    """The common examples of the runs, read as in training."""
    file = runs[0] / CONFIGURATION
    if not file.is_file() and given is None:
        raise ArtifactError(f"{runs[0]} does not say which data it was trained on; give them with --data.")
    told = read_configuration(file) if file.is_file() else {}
    if given is None and "data" in told.get("from_python", ()):
        raise ArtifactError(
            f"{runs[0]} was trained on examples that Python handed over ({told['data']}), which no file holds; hand "
            "them over again as data=…, or name a file of them with --data."
        )
    source = given if given is not None else told.get("data")
    try:
        found = source if isinstance(source, Data) else read(source, **{k: told[k] for k in READ if k in told})
    except DataError as error:
        if given is None and isinstance(source, str) and not Path(source).exists():
            message = f"{runs[0]} was trained on {source}, which is not found from here: name it with --data. {error}"
            raise DataError(message) from error
        raise
    for run in runs:
        record = run / "comparison.json"
        trained = Comparison.read(record).data.fingerprint if record.is_file() else found.record.fingerprint
        if trained != found.record.fingerprint:
            raise ConfigurationError(
                f"{run} was trained on other examples than {found.record.source} holds now, so training "
                "examples may be among the test examples. Give the run's own data with --data."
            )
    if folds := told.get("folds"):  # the first fold, because the kept models were trained without its examples
        return folded(found, int(folds))[0]
    return found
