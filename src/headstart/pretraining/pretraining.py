"""Pretraining: runs an objective by the module of its family."""

from __future__ import annotations

import importlib
import json
import shutil
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from headstart.core.disk.files import is_left, sweep
from headstart.core.disk.locks import NAME as LOCK
from headstart.core.disk.locks import Lock
from headstart.core.errors import ConfigurationError, DataError, ModelError
from headstart.core.progress import Progress, Silent
from headstart.data.audit.findings import Findings
from headstart.engine.machine.precision import Compute, surroundings
from headstart.engine.state.surroundings import own_generators
from headstart.engine.trace import Trace
from headstart.pretraining.objectives.objective import Objective

UNFINISHED = "unfinished"
"folder for resuming, within the backbone's folder"
TOLD = "told.json"
"file that identifies a finished part of the work"
REPORT = "pretrained.json"
"file of the report, beside the backbone"


@dataclass(frozen=True)
class Request:
    """Arguments of a pretraining, for all families.

    out: folder of the backbone. base: folder or hub name of a backbone to continue from. label, text: columns of tables
    [default: detected]. half: store the weights in bf16. workers: threads that check images. given: names of the
    settings that the user set.
    """

    sources: Sequence[str]
    out: Path
    compute: Compute
    progress: Progress = field(default_factory=Silent)
    base: str | None = None
    label: str | None = None
    text: str | None = None
    seed: int = 0
    half: bool = False
    workers: int = 0
    given: Collection[str] = ()


def pretrain(objective: Objective, request: Request) -> list[str]:
    """Runs the module of the objective's family and returns its summary lines.

    Raises `ConfigurationError` for invalid settings, and for a folder with other content.
    """
    if problems := list(objective.problems()):
        raise ConfigurationError(" ".join(problems))
    if request.base is not None and (given := [name for name in objective.of_new if name in request.given]):
        raise ConfigurationError(
            f"{', '.join(given)}: of a new network; {request.base}, which it continues, fixes it. Leave "
            f"{'it' if len(given) == 1 else 'them'} or --from out."
        )
    for option, value, families in (
        ("label", request.label, ("labelled",)),
        ("text", request.text, ("language", "vectors", "pairs")),
    ):
        if value is not None and objective.family not in families:
            raise ConfigurationError(f"{objective.name} reads no column that --{option} could name; leave it out.")
    _check_folder(request.out)
    family = importlib.import_module(f"headstart.pretraining.artifacts.{objective.family}")
    new, lock = not request.out.exists(), Lock(request.out)
    try:
        _check_folder(request.out)  # checked again under the lock, because another process may have just finished it
        sweep(request.out)
        with own_generators():
            lines: list[str] = family.run(objective, request)
    except (ConfigurationError, DataError, ModelError) as error:
        # removed unless other settings can reuse it, such as hours of counting
        kept = ("checkpoint*",) if isinstance(error, DataError) else ("checkpoint*", TOLD)
        if new and not any(any(request.out.rglob(name)) for name in kept):
            shutil.rmtree(request.out, ignore_errors=True)
        raise
    finally:
        lock.release()
        if new and request.out.is_dir() and not any(request.out.iterdir()):
            request.out.rmdir()
    return lines


def report(
    objective: Objective,
    request: Request,
    learned_from: dict[str, Any],
    judged: tuple[str, float | None],
    trace: Trace | None = None,
    without: Sequence[str] = (),
    **own: Any,
) -> dict[str, Any]:
    """Content of `pretrained.json`: common fields, and those of the family (`own`).

    learned_from: the corpus or the sources. judged: metric, and its value if there is one. trace: that of `fit`.
    without: settings that are irrelevant here.
    """
    settings = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(objective).items()}
    trained = {} if trace is None else {
        "steps": trace.steps, "status": trace.status, "seconds": trace.seconds,
        "curve": [point.to_json() for point in trace.curve],
    }  # fmt: skip
    return {
        "schema": "headstart.pretrained/1",
        "objective": objective.name,
        "configuration": {name: value for name, value in settings.items() if name not in without},
        "base": request.base,
        "seed": request.seed,
        "metric": judged[0],
        "value": judged[1],
        **learned_from,
        **trained,
        "environment": surroundings(request.compute).to_json(),
        **own,
    }


def ended(done: dict[str, Any]) -> list[str]:
    """A warning if the training of this report diverged."""
    return [] if done["status"] == "ok" else [f"{done['status']}; the last good weights are kept"]


def shown(findings: Findings, progress: Progress) -> list[dict[str, Any]]:
    """Shows the findings of reading, and returns them for the report."""
    for finding in findings.records():
        progress.say(finding.message)
    return [finding.to_json() for finding in findings.records()]


def is_done(folder: Path, told: object) -> bool:
    """True if an interrupted run has finished this part of the work for the same request."""
    path = folder / TOLD
    return path.is_file() and json.loads(path.read_text(encoding="utf-8")) == json.loads(json.dumps(told))


def _check_folder(out: Path) -> None:
    """Raises `ConfigurationError` unless the folder is empty or a started pretraining, because it will be replaced."""
    if not out.is_dir():
        if file := next((place for place in (out, *out.parents) if place.is_file()), None):
            raise ConfigurationError(f"{file} is a file; give another --out. Nothing was changed.")
        return
    others = sorted(p.name for p in out.iterdir() if p.name not in (UNFINISHED, LOCK) and not is_left(p))
    if REPORT in others:
        raise ConfigurationError(f"{out} already holds a pretrained backbone; give another --out. Nothing was changed.")
    if others:
        raise ConfigurationError(
            f"{out} exists and holds other things ({', '.join(others[:3])}); give another --out. Nothing was changed."
        )
