"""Trained models of a run folder, by method: `model/` and `models/METHOD/seedN`."""

from __future__ import annotations

import json
import re
from pathlib import Path

from headstart.core.disk.files import slug
from headstart.core.disk.runs import PROGRESS, finished
from headstart.core.errors import ArtifactError, suggestion
from headstart.core.records.comparison import Comparison


def kept_models(run: str | Path) -> dict[str, list[Path]]:
    """Folders of the trained seeds by method; the method in `model/`, which predicts by default, comes first.

    A method in `models/` has all its seeds. Raises `ArtifactError` if the folder has no models.
    """
    run = Path(run)
    place = run if (run / "artifact.json").is_file() else run / "model"
    seeds: dict[str, list[Path]] = {}
    for folder in sorted((run / "models").glob("*/seed*"), key=lambda each: (each.parent.name, int(each.name[4:]))):
        seeds.setdefault(folder.parent.name, []).append(folder)
    if not (place / "artifact.json").is_file():
        seeds = seeds or unfinished_models(run)
        if not seeds:
            raise ArtifactError(f"{run} holds no trained model (artifact.json); give a run folder such as runs/NAME.")
        return seeds
    name = _method_in(run, place)
    return {name: seeds.pop(name, [place]), **seeds}


def model_of(run: str | Path, method: str | None) -> Path:
    """The folder of a kept model: the best seed of `method` on validation; for None the model in `model/`.

    Raises `ArtifactError` with the kept methods if the run keeps no model of this one.
    """
    if method is None:
        method = _of_an_unfinished(Path(run))
    if method is None:
        return Path(run)
    kept = kept_models(run)
    if method not in kept:
        raise ArtifactError(
            f"{run} keeps no model of the method {method!r}.{suggestion(method, kept)} It keeps {', '.join(kept)}; "
            "compare with --keep keeps every method's."
        )
    best = _best_seed(Path(run), method)
    own = (folder for folder in kept[method] if re.match(rf"seed{best}(-|$)", _seed_folder(folder)))
    return next(own, kept[method][0])


def unfinished_models(run: Path) -> dict[str, list[Path]]:
    """Folders of the trained seeds by method, of those that an interrupted run had finished."""
    if not (run / PROGRESS).is_dir() or not (run / "comparison.json").is_file():
        return {}
    found: dict[str, list[Path]] = {}
    for row in Comparison.read(run / "comparison.json").rows:
        for file in sorted((run / PROGRESS / slug(row.method)).glob("seed*/run.json")) if row.status == "ok" else ():
            one = json.loads(file.read_text(encoding="utf-8"))
            tested = one.get("status") == "ok" and one.get("configuration") == row.configuration
            if tested and (file.parent / "model" / "artifact.json").is_file():
                found.setdefault(row.method, []).append(file.parent / "model")
    return found


def _of_an_unfinished(run: Path) -> str | None:
    """The recommended method of an interrupted run without `model/`: that of its record, else the first."""
    if (run / "artifact.json").is_file() or (run / "model" / "artifact.json").is_file():
        return None
    kept = unfinished_models(run)
    best = Comparison.read(run / "comparison.json").verdict.method if kept else None
    return best if best in kept else next(iter(kept), None)


def _seed_folder(folder: Path) -> str:
    """`seed0` of `models/lora/seed0`, `seed0-HASH` of `progress/lora/seed0-HASH/model`."""
    return folder.parent.name if folder.name == "model" else folder.name


def _method_in(run: Path, place: Path) -> str:
    """Name of the method in `model/`, with the user's label from the record if there is one."""
    if (run / "comparison.json").is_file():
        verdict = finished(run).verdict
        if name := verdict.method or verdict.reference:
            return name
    try:
        return str(json.loads((place / "artifact.json").read_text(encoding="utf-8"))["method"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtifactError(f"can't read {place / 'artifact.json'}: {error}") from error


def _best_seed(run: Path, method: str) -> int | None:
    if not (run / "comparison.json").is_file():
        return None
    record: Comparison = finished(run)
    sign = 1 if record.task.higher_is_better else -1
    runs = [one for row in record.rows if row.method == method for one in row.seeds]
    return max(runs, key=lambda one: sign * (one.validation_value or 0.0)).seed if runs else None
