"""History of the evaluations of a run: `evaluations/N.json` in its folder, never overwritten."""

from __future__ import annotations

import os
from pathlib import Path

from headstart.core.disk.files import replacing, unwritable
from headstart.core.errors import ArtifactError
from headstart.core.records.evaluation import Evaluation

FOLDER = "evaluations"
LATEST = "evaluation.json"


def keep(run: Path, found: Evaluation) -> Path:
    """Writes the evaluation under the next free number and as the latest; returns the numbered file.

    A link claims the number, because it fails if another process has just claimed it. An `evaluation.json` of an older
    version gets a number first.
    """
    folder, latest = run / FOLDER, run / LATEST
    if latest.is_file() and not numbered(run):
        _take(folder, latest)
    with replacing(latest) as temporary:
        found.write(temporary)
        return _take(folder, temporary)


def numbered(run: Path) -> list[Path]:
    """Files of a run's evaluations in order."""
    return sorted((run / FOLDER).glob("[0-9]*.json"), key=lambda file: int(file.stem) if file.stem.isdigit() else 0)


def history(run: Path) -> list[tuple[int, Evaluation]]:
    """Numbers and records of a run's evaluations in order, without those of other versions."""
    found = []
    for file in numbered(run):
        try:
            found.append((int(file.stem), Evaluation.read(file)))
        except (ArtifactError, ValueError):
            continue
    return found


def _take(folder: Path, file: Path) -> Path:
    """Links the file under the next free number."""
    try:
        folder.mkdir(exist_ok=True)
        number = max((int(one.stem) for one in numbered(folder.parent) if one.stem.isdigit()), default=0) + 1
        while True:
            place = folder / f"{number}.json"
            try:
                _link(file, place)
                return place
            except FileExistsError:
                number += 1
    except OSError as error:
        raise unwritable(folder, error) from error


def _link(file: Path, place: Path) -> None:
    """A hard link, or a copy if the file system has no links; fails if the name exists."""
    try:
        os.link(file, place)
    except FileExistsError:
        raise
    except OSError:
        with open(place, "xb") as copy:
            copy.write(file.read_bytes())
