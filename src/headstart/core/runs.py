"""Run folders: where a run's results lie, and how a second run into the same folder is refused or taken up."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headstart.core.errors import ArtifactError, ConfigurationError
from headstart.core.files import unwritable, write_json

CONFIGURATION = "configuration.json"


def new_run(out: str | Path | None, name: str, configuration: Mapping[str, Any], resume: bool) -> Path:
    """The run's folder, made and marked with its configuration.

    out: the folder that the user named; None for the next free `runs/NAME`. Raises `ConfigurationError` where it
    holds another run already, and `resume` is False or the configurations differ; nothing is overwritten.
    """
    folder = Path(out) if out is not None else _free(Path("runs"), name, resume)
    settled = json.loads(json.dumps(configuration))
    marker = folder / CONFIGURATION
    if marker.is_file():
        before = read_configuration(marker)
        if not resume:
            raise ConfigurationError(
                f"{folder} already holds a run. Give --resume to go on with it, or another --out; nothing was changed."
            )
        if before != settled:
            changed = sorted(k for k in {*before, *settled} if before.get(k) != settled.get(k))
            raise ConfigurationError(
                f"{folder} holds a run with another configuration ({', '.join(changed)} differ); "
                "resume with the same options, or give another --out."
            )
        return folder
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise ConfigurationError(f"{folder} exists and is no run folder; give another --out. Nothing was changed.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise unwritable(folder, error) from error
    write_json(marker, settled)
    return folder


def read_configuration(path: str | Path) -> dict[str, Any]:
    """The options of an earlier run. Raises `ArtifactError` where the file is none."""
    try:
        value = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ArtifactError(f"can't read the configuration {path}: {error}") from error
    if not isinstance(value, dict):
        raise ArtifactError(f"{path} holds no configuration (a JSON object).")
    return value


def _free(parent: Path, name: str, resume: bool) -> Path:
    """`runs/NAME`, `runs/NAME-2`, …: the first that is free, or to resume, the last that is not."""
    stem = "".join(c if c.isalnum() or c in "-_." else "-" for c in name).strip(".-") or "run"
    taken = None
    number = 1
    while True:
        folder = parent / (stem if number == 1 else f"{stem}-{number}")
        if not os.path.lexists(folder):
            return taken if resume and taken else folder
        taken, number = folder, number + 1
