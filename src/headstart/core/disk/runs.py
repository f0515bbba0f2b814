"""Run folders: creating, resuming and refusing runs."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headstart.core.disk.files import is_left, slug, sweep, unwritable, write_json
from headstart.core.disk.locks import NAME as LOCK
from headstart.core.disk.locks import Lock, refuse_if_held
from headstart.core.errors import ArtifactError, ConfigurationError
from headstart.core.records.comparison import Comparison

CONFIGURATION = "configuration.json"
PROGRESS = "progress"
"folder with the finished work of an interrupted run; it is removed when the run is complete"
INPUTS = "inputs.json"
TRIAL = "trial.json"
"spec of one training, in its folder below `progress`"


def run_folder(out: str | Path | None, name: str, configuration: Mapping[str, Any], resume: bool) -> Path:
    """The folder for a new or resumed run; nothing is written yet.

    out: folder of the user; None for the next free `runs/NAME`. Raises `ConfigurationError` if it holds a run and
    `resume` is False or the configurations differ; nothing is overwritten.
    """
    folder = Path(out) if out is not None else _free(Path("runs"), name, configuration if resume else None)
    try:
        return _checked(folder, configuration, resume)
    except OSError as error:
        raise unwritable(folder, error) from error


def _checked(folder: Path, configuration: Mapping[str, Any], resume: bool) -> Path:
    settled = json.loads(json.dumps(configuration))
    marker = folder / CONFIGURATION
    refuse_if_held(folder)
    if marker.is_file():
        before = read_configuration(marker)
        if not resume:
            raise ConfigurationError(
                f"{folder} already holds a run. Give --resume to continue it, or another --out; nothing was changed."
            )
        if before != settled:
            changed = sorted(k for k in {*before, *settled} if before.get(k) != settled.get(k))
            raise ConfigurationError(
                f"{folder} holds a run with another configuration ({', '.join(changed)} differ); "
                "resume with the same options, or give another --out."
            )
    elif folder.is_file() or (
        folder.is_dir() and any(place.name != LOCK and not is_left(place) for place in folder.iterdir())
    ):
        raise ConfigurationError(f"{folder} exists and is no run folder; give another --out. Nothing was changed.")
    return folder


def open_run(folder: Path, configuration: Mapping[str, Any], inputs: Mapping[str, str], resume: bool) -> Lock:
    """Creates the folder with its configuration, or checks for a resume that the inputs are unchanged.

    Returns the folder's lock, which the caller releases at the end. inputs: fingerprints of the data and the model.
    Raises `ResourceError` if the folder can't be written, and `ConfigurationError` if another process has it, if
    another run has taken it since `run_folder`, or if the inputs have changed.
    """
    marker, progress, new = folder / CONFIGURATION, folder / PROGRESS / INPUTS, not folder.exists()
    lock = Lock(folder)
    try:
        sweep(folder)
        if resume and progress.is_file():
            same_as_before(folder, read_configuration(progress), inputs)
        if marker.is_file() and not resume:
            raise ConfigurationError(
                f"another run has just begun in {folder}; start this one again. Nothing was changed there."
            )
        if not marker.is_file():  # written first, because a folder without it would be refused as no run
            write_json(marker, json.loads(json.dumps(configuration)))
        if not (progress.is_file() or is_complete(folder)):
            write_json(progress, dict(inputs))
    except BaseException:
        if new:
            close_run(folder)  # removed, because a configuration without a run would block the next one
        lock.release()
        raise
    return lock


def same_as_before(folder: Path, before: Mapping[str, str], inputs: Mapping[str, str]) -> None:
    """Raises `ConfigurationError` if the inputs are not those at the start of the run in this folder."""
    if changed := [name for name, value in inputs.items() if before.get(name) != value]:
        raise ConfigurationError(
            f"{folder} can't be resumed: the {' and the '.join(changed)} changed since it began. Start anew with "
            "another --out; nothing was changed."
        )


def close_run(folder: Path) -> None:
    """Removes the folder if nothing was finished in it, so that the same command can run again."""
    kept = (CONFIGURATION, INPUTS, TRIAL, LOCK)
    finished = [path for path in folder.rglob("*") if path.is_file() and path.name not in kept and not is_left(path)]
    if not finished:
        shutil.rmtree(folder, ignore_errors=True)


def is_complete(folder: Path) -> bool:
    """True if the run is complete: by its record, and with its model in place."""
    try:
        value = json.loads((folder / "comparison.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return value.get("status") == "complete" and (folder / "model" / "artifact.json").is_file()


def finished(folder: str | Path) -> Comparison:
    """The record of a finished run. Raises `ArtifactError` if there is none."""
    file = Path(folder) / "comparison.json"
    if not file.is_file():
        raise ArtifactError(
            f"{folder} holds no finished run of compare or fit (comparison.json); give the folder of one."
        )
    return Comparison.read(file)


def read_configuration(path: str | Path) -> dict[str, Any]:
    """The options of an earlier run. Raises `ArtifactError` if the file is no configuration."""
    try:
        value = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ArtifactError(f"can't read the configuration {path}: {error.strerror or error}.") from error
    except ValueError as error:
        raise ArtifactError(f"{path} holds no configuration: it is no JSON ({error}).") from error
    if not isinstance(value, dict):
        raise ArtifactError(f"{path} holds no configuration (a JSON object).")
    return value


def _free(parent: Path, name: str, resumed: Mapping[str, Any] | None) -> Path:
    """`runs/NAME`, `runs/NAME-2`, …: the first free one, or for a resume the last with this configuration."""
    stem = slug(name) or "run"
    settled = json.loads(json.dumps(resumed))
    taken, matching, number = None, None, 1
    while True:
        folder = parent / (stem if number == 1 else f"{stem}-{number}")
        if not os.path.lexists(folder):
            return (matching or taken or folder) if resumed is not None else folder
        if resumed is not None and (folder / CONFIGURATION).is_file():
            matching = folder if read_configuration(folder / CONFIGURATION) == settled else matching
        taken, number = folder, number + 1
