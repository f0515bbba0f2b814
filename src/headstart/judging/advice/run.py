"""Improving a run folder: its record, data and base in, the trials of changes out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from itertools import count
from pathlib import Path
from typing import Any

from headstart.artifacts.artifact import Artifact
from headstart.artifacts.predictor import base_of
from headstart.comparison.trials.answers import validation_file
from headstart.core.disk.runs import finished
from headstart.core.errors import ArtifactError, unknown
from headstart.core.fields import configured
from headstart.core.progress import Progress
from headstart.core.records.improvement import Improvement, Tried
from headstart.data.examples import Data
from headstart.engine.job import Options
from headstart.engine.machine.precision import compute
from headstart.judging.advice.improve import improve
from headstart.judging.runs import data_of
from headstart.stats.predictions import Predictions


def improved(
    run: Path, method: str | None, budget: float | None, seeds: tuple[int, ...], propose: bool, data: Any, model: Any,
    device: str | None, precision: str | None, trust_remote_code: bool = False, *, read: Callable[..., Data],
    progress: Progress | None = None,
) -> Improvement:  # fmt: skip
    """See `headstart.api.improve`."""
    record = finished(run)
    artifact = Artifact.open(run)
    examples = data_of([run], data, read)
    backbone = model if hasattr(model, "ladder") else base_of(artifact, model, trust_remote_code)
    artifact.check_base(backbone)
    names = [field.name for field in fields(Options)]
    asked = {n: v for n, v in record.configuration.items() if n in names}
    if record.forecast and record.forecast.epochs:  # fewer than usual, because of a budget
        asked["epochs"] = record.forecast.epochs
    options = configured(Options, asked, "training")
    rows = {row.method: row for row in record.rows if row.status == "ok" and not row.control}
    if method is None and record.verdict.method is None:
        raise ArtifactError(
            f"{run} recommends no method; name one of it with --method: {', '.join(rows) or 'none ran'}."
        )
    name = str(method or record.verdict.method)
    if name not in rows:
        raise unknown(f"method of {run}", name, rows)
    computing = compute(device, precision or artifact.precision)

    def same(earlier: Improvement) -> bool:
        """True if its trials would give the same results again."""
        then = (earlier.run_started, earlier.method, earlier.seeds, earlier.environment.precision)
        return then == (record.environment.started, name, len(seeds), computing.precision)

    earlier, keep = _improvements(run, same)
    validation = {
        row.method: [Predictions.read(file) for file in files if file.is_file()]
        for row in record.rows
        for files in [[validation_file(run, row.method, one.seed) for one in row.seeds[: 1 if record.folds else None]]]
    }
    return improve(
        record, name, examples, backbone, computing, options, run=str(run), seeds=seeds,
        validation={name: found for name, found in validation.items() if found}, budget=budget,
        only_propose=propose, earlier=earlier, progress=progress, keep=keep,
    )  # fmt: skip


def _improvements(
    run: Path, same: Callable[[Improvement], bool]
) -> tuple[tuple[Tried, ...], Callable[[Improvement], None]]:
    """Earlier trials to reuse, and a function that writes the new record; a different record is renamed and kept."""
    file = run / "improvement.json"
    asides = sorted(run.glob("improvement.*.json"))
    found = {place: Improvement.read(place) for place in (file, *asides) if place.is_file()}
    at = next((place for place, one in found.items() if same(one)), None)
    free = next(place for number in count(1) if (place := run / f"improvement.{number}.json") not in found)
    aside = at if at in asides else free
    moving = file in found and at != file and any(one.status not in ("yours", "no time") for one in found[file].tried)

    def keep(so_far: Improvement) -> None:
        nonlocal moving
        if moving:
            file.replace(aside)
            moving = False
        so_far.write(file)

    return found[at].tried if at else (), keep
