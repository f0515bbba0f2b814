"""Judge: tuned models against the base that they share, on the same examples, by the checks of a suite."""

from __future__ import annotations

import base64
import io
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from headstart.backbones.backbone import Backbone
from headstart.core.errors import ConfigurationError, DataError
from headstart.core.evaluation import CheckRecord, Cost, Flip, Judged
from headstart.core.progress import Progress, Silent
from headstart.data.examples import Examples
from headstart.data.images import decode
from headstart.data.task import Task
from headstart.engine.precision import Compute
from headstart.evaluate.checks import Check, Material
from headstart.evaluate.cost import cost
from headstart.evaluate.gate import Gate, checked, together
from headstart.evaluate.metrics import Metric
from headstart.evaluate.predictions import Predictions, aligned
from headstart.evaluate.suite import Suite
from headstart.evaluate.system import System, base_system, tuned_system

SHOWN = 10
"flips of each direction that a record holds"
Answers = dict[str, list[Predictions]]
"check to what a model said, one a seed"


def judge(
    models: Mapping[str, Sequence[Path]], methods: Mapping[str, str], backbone: Backbone, material: Material,
    suite: Suite, compute: Compute, *, progress: Progress | None = None,
) -> tuple[tuple[Judged, ...], Cost, tuple[str, ...]]:  # fmt: skip
    """Each model (its seeds' folders) by every check; what the base costs; notes.

    The base answers once, under a probe solved on the same training data. Raises `ConfigurationError` for a check that
    the task does not allow.
    """
    progress, data = progress or Silent(), material.data
    checks, prices = suite.checks, suite.prices
    for check in checks:
        _check(check, material)
    _check_quality(suite, material)
    if not len(data.test):
        raise ConfigurationError("an evaluation needs test examples, and there are none.")
    progress.stage("evaluate", (1 + sum(map(len, models.values()))) * len(checks))
    base = base_system(backbone, compute, data.train, data.task, data.validation)
    asked = _asked(base, checks, material, progress)
    told = {part: (check, measure) for check, measure, parts in asked for part in parts}
    names: dict[str, tuple[Metric, Gate, float]] = {
        part: (measure, check.gate, check.tolerance) for part, (check, measure) in told.items()
    }
    if not names:
        left_out = " ".join(note for check in checks for note in check.notes(material))
        raise ConfigurationError(f"no check of the suite asks for any example, so nothing would be judged. {left_out}")
    before: Answers = {part: [found] for _, _, parts in asked for part, found in parts.items()}
    base_cost, judged = cost(base, data.test, None, prices), []
    # of a share of right answers it can be shown which these are
    targets = [part for part, (check, measure) in told.items() if check.kind == "target" and measure.percent]
    for name, folders in models.items():
        after: Answers = defaultdict(list)
        found_cost = None
        for folder in folders:
            with tuned_system(folder, backbone, compute) as system:
                for _, _, parts in _asked(system, checks, material, progress):
                    for part, found in parts.items():
                        after[part].append(found)
                found_cost = found_cost or cost(system, data.test, folder, prices)
        records = [
            _with_flips(record, before[record.check][0], after[record.check][0], data.test, data.task)
            if record.check in targets
            else record
            for record in (replace(one, kind=told[one.check][0].kind) for one in checked(names, before, after))
        ]
        verdict = together(record.verdict for record in records)
        judged.append(Judged(name, methods[name], tuple(map(str, folders)), verdict, tuple(records), found_cost))
    return tuple(judged), base_cost, tuple(note for check in checks for note in check.notes(material))


def _check(check: Check, material: Material) -> None:
    """Raises what the check raises, with the check's name."""
    try:
        check.check(material)
        if check.gate != "none" and check.measure(material).scaled is not None:
            raise ConfigurationError(
                f"{check.title()}: no gate can stand on {check.measure(material).name}, which noise makes larger in "
                'either model. Gate on brier or log_loss, or set gate = "none".'
            )
    except (ConfigurationError, DataError) as error:
        if check.title() in str(error):
            raise
        raise type(error)(f"{check.title()}: {error}") from error


def _check_quality(suite: Suite, material: Material) -> None:
    """What is said of models of others is of the target's metric."""
    measure = suite.checks[0].measure(material)
    for one in suite.externals:
        if one.quality is not None:
            measure.check(one.quality, f"the external {one.name}: quality")


def _asked(
    system: System, suite: Sequence[Check], material: Material, progress: Progress
) -> list[tuple[Check, Metric, dict[str, Predictions]]]:
    found = []
    for check in suite:
        found.append((check, check.measure(material), check.ask(system, material)))
        progress.advance(note=check.title())
    return found


def _with_flips(record: CheckRecord, base: Predictions, tuned: Predictions, test: Examples, task: Task) -> CheckRecord:
    """The record with the examples that only one of the two has right, the tuned model's most confident first."""
    if task.kind != "single_label":
        return record
    base, tuned = aligned(base, tuned)
    said, saying = base.scores.argmax(1), tuned.scores.argmax(1)
    was, now = said == base.targets, saying == base.targets
    gained, lost = np.flatnonzero(~was & now), np.flatnonzero(was & ~now)
    confidence = tuned.scores.max(1)
    shown = [i for rows in (lost, gained) for i in rows[np.argsort(-confidence[rows], kind="stable")][:SHOWN]]
    rows = np.array(shown, dtype=np.int64)
    flips = []
    for i, place, value in zip(shown, test.places(rows), test.inputs(rows)):
        text = "" if isinstance(value, bytes) else (" / ".join(value) if isinstance(value, tuple) else value)[:200]
        flips.append(
            Flip(
                place, text, task.labels[base.targets[i]], task.labels[said[i]], task.labels[saying[i]],
                float(confidence[i]), _small(value) if isinstance(value, bytes) else "",
            )
        )  # fmt: skip
    return replace(record, gained=len(gained), lost=len(lost), flips=tuple(flips))


def _small(data: bytes) -> str:
    """An image of at most 96 pixels a side as a data URI."""
    image = decode(data)
    image.thumbnail((96, 96))
    written = io.BytesIO()
    image.save(written, "PNG")
    return "data:image/png;base64," + base64.b64encode(written.getvalue()).decode()
