"""Judging tuned models against their common base, on the same examples, by the checks of a suite."""

from __future__ import annotations

import base64
import contextlib
import io
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from headstart.backbones.backbone import Backbone
from headstart.comparison.trials.latency import ROUNDS
from headstart.core.errors import ConfigurationError, DataError
from headstart.core.progress import Progress, Silent
from headstart.core.records.evaluation import CheckRecord, Cost, Flip, Judged
from headstart.data.examples import Examples
from headstart.data.images.image import decode
from headstart.engine.machine.precision import Compute
from headstart.judging.checks.checks import Check
from headstart.judging.checks.material import Material
from headstart.judging.cost import Measured, Prices, cost, measure
from headstart.judging.gate import Gate, checked, together
from headstart.judging.other_run import Reference
from headstart.judging.suite import Suite
from headstart.judging.system import System, base_system, tuned_system
from headstart.stats.metrics import Metric
from headstart.stats.predictions import Predictions, aligned
from headstart.tasks.task import Task

SHOWN = 10
"maximum number of changed predictions per direction in a record"
Answers = dict[str, list[Predictions]]
"predictions of a model by check, one per seed"


def judge(
    models: Mapping[str, Sequence[Path]], methods: Mapping[str, str], backbone: Backbone, material: Material,
    suite: Suite, compute: Compute, *, against: Mapping[str, Reference] | None = None, progress: Progress | None = None,
) -> tuple[tuple[Judged, ...], Cost, tuple[str, ...]]:  # fmt: skip
    """Results of each model (folders of its seeds) by check; costs of the base; notes.

    The base predicts once, with a probe solved on the same training data. against: models of another run as references
    instead of the base, by the name of the judged model. Raises `ConfigurationError` for a check that does not fit the
    task.
    """
    progress, data = progress or Silent(), material.data
    checks, prices = suite.checks, suite.prices
    for check in checks:
        _check(check, material)
    _check_quality(suite, material)
    if not len(data.test):
        raise ConfigurationError("an evaluation needs test examples, and there are none.")
    others = {one.folders: one for one in (against or {}).values()}
    asking = sum(map(len, models.values())) + (sum(map(len, others)) if against else 1)
    progress.stage("evaluate", asking * len(checks))
    sides: dict[tuple[Path, ...], _Side]
    if against is None:
        base = base_system(backbone, compute, data.train, data.task, data.validation)
        sides = {(): _Side((None,), [lambda: contextlib.nullcontext(base)])}
    else:
        sides = {folders: _opened(folders, one.backbone, compute, one.order) for folders, one in others.items()}
    told: dict[str, tuple[Check, Metric]] = {}
    found = {folders: _answers(side, checks, material, progress, told) for folders, side in sides.items()}
    names: dict[str, tuple[Metric, Gate, float]] = {
        part: (measure, check.gate, check.tolerance) for part, (check, measure) in told.items()
    }
    if not names:
        left_out = " ".join(note for check in checks for note in check.notes(material))
        raise ConfigurationError(f"no check of the suite asks for any example, so nothing would be judged. {left_out}")
    # only for shares of right answers, where examples are right or wrong
    targets = [part for part, (check, measure) in told.items() if check.kind == "target" and measure.percent]
    tuned = {name: _opened(folders, backbone, compute) for name, folders in models.items()}
    checks_of = {}
    for name, side in tuned.items():
        after = _answers(side, checks, material, progress, told)
        before = found[against[name].folders if against else ()]
        records = (replace(one, kind=told[one.check][0].kind) for one in checked(names, before, after))
        checks_of[name] = tuple(
            _with_flips(record, before[record.check][0], after[record.check][0], data.test, data.task)
            if record.check in targets
            else record
            for record in records
        )
    reference, *costs = _costs([next(iter(sides.values())), *tuned.values()], data.test, prices)
    judged = tuple(
        Judged(
            name, methods[name], tuple(map(str, models[name])), together(one.verdict for one in checks_of[name]),
            checks_of[name], spent,
        )
        for name, spent in zip(tuned, costs)
    )  # fmt: skip
    return judged, reference, tuple(note for check in checks for note in check.notes(material))


@dataclass(frozen=True)
class _Side:
    """A model with one folder per seed, and a context manager that loads a seed on its base."""

    folders: tuple[Path | None, ...]
    opened: Sequence[Callable[[], AbstractContextManager[System]]]


def _opened(
    folders: Sequence[Path], backbone: Backbone, compute: Compute, order: tuple[int, ...] | None = None
) -> _Side:
    @contextlib.contextmanager
    def system(folder: Path) -> Iterator[System]:
        with tuned_system(folder, backbone, compute) as found:
            yield replace(found, order=order)

    return _Side(tuple(folders), [partial(system, folder) for folder in folders])


def _answers(
    side: _Side, checks: Sequence[Check], material: Material, progress: Progress, told: dict[str, tuple[Check, Metric]]
) -> Answers:
    """Predictions of a model for every part of every check, one per seed; collects the parts."""
    answers: Answers = defaultdict(list)
    for opened in side.opened:
        with opened() as system:
            own = material.decoded_by(system.task.images)
            for check in checks:
                measure = check.measure(own)
                for part, found in check.ask(system, own).items():
                    answers[part].append(found)
                    told.setdefault(part, (check, measure))
                progress.advance(note=check.title())
    return answers


def _costs(sides: Sequence[_Side], test: Examples, prices: Prices) -> list[Cost]:
    """Costs of each side's first seed, measured in turns, so that a machine that warms up affects all alike."""
    measured: list[list[Measured]] = [[] for _ in sides]
    for _ in range(ROUNDS):
        for side, rounds in zip(sides, measured):
            with side.opened[0]() as system:
                rounds.append(measure(system, test))
    return [cost(rounds, side.folders[0], prices) for side, rounds in zip(sides, measured)]


def _check(check: Check, material: Material) -> None:
    """Adds the check's name to its errors."""
    try:
        check.check(material)
        if check.gate != "none" and check.measure(material).of_sizes:
            raise ConfigurationError(
                f"{check.title()}: no gate can stand on {check.measure(material).name}, which noise makes larger in "
                'either model. Gate on brier or log_loss, or set gate = "none".'
            )
    except (ConfigurationError, DataError) as error:
        if check.title() in str(error):
            raise
        raise type(error)(f"{check.title()}: {error}") from error


def _check_quality(suite: Suite, material: Material) -> None:
    """Figures of external models are for the target's metric."""
    measure = suite.checks[0].measure(material)
    for one in suite.externals:
        if one.quality is not None:
            measure.check(one.quality, f"the external {one.name}: quality")


def _with_flips(record: CheckRecord, base: Predictions, tuned: Predictions, test: Examples, task: Task) -> CheckRecord:
    """The record with the examples that only one of both predicts correctly, the tuned model's most confident first."""
    if not task.exclusive:
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
