"""Proposals for changes, from the records of a run, each with its evidence; nothing is trained here."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from headstart.core.inputs import INPUT_KINDS
from headstart.core.records.comparison import Comparison, Row
from headstart.core.records.improvement import Proposal
from headstart.core.records.ranking import Candidate
from headstart.methods.method import method_class
from headstart.stats.guess import default_margin, guess
from headstart.stats.metrics import Metric
from headstart.stats.non_inferiority import lower_bound, p_value
from headstart.stats.paired import compare
from headstart.stats.predictions import Predictions
from headstart.tasks.task import Task

ALPHA = 0.05
GAP = 2.0
"ratio of validation to training loss from which a model counts as overfitted"
EARLY = 0.4
"a best epoch before this share of the epochs means that the rest did harm"
FEW, BEHIND = 10, 0.10
"a class is named if it has this many validation examples, and its recall is this far below the mean"
STRONGER = {"none": "light", "light": "strong"}


@dataclass(frozen=True)
class Evidence:
    """Evidence for proposals, from training and validation examples only.

    Checks of an evaluation are left out, because a change that they suggest could not be judged by them again.

    validation: predictions of each method of the run for the validation examples, one per seed.
    rungs: validation results of a probe at each level of the base, lowest first.
    suspects: predicted classes of training examples whose label a cross-validated probe doubts, by id.
    places: places and texts of the suspects.
    """

    record: Comparison
    method: str
    modality: str
    rungs: Sequence[Candidate] = ()
    suspects: Mapping[int, str] | None = None
    places: Mapping[int, str] = field(default_factory=dict)
    validation: Mapping[str, Sequence[Predictions]] = field(default_factory=dict)

    @property
    def metric(self) -> Metric:
        return self.task.metric(self.record.task.metric)

    @property
    def task(self) -> Task:
        told = self.record.task
        return Task(told.kind, told.modality, told.labels)  # type: ignore[arg-type]

    @property
    def percent(self) -> bool:
        return self.metric.percent

    @property
    def row(self) -> Row:
        return self.record.row(self.method)


def proposals(evidence: Evidence) -> list[Proposal]:
    """All proposals, those with a trial first."""
    found = [one for rule in RULES for one in rule(evidence)]
    return sorted(found, key=lambda one: not one.can_be_tried)


def use_the_probe(e: Evidence) -> Iterator[Proposal]:
    """Proposes the probe if it is non-inferior to the method on validation."""
    rows = {row.method: row for row in e.record.rows if row.status == "ok"}
    probe, mine = e.validation.get("probe"), e.validation.get(e.method)
    solved = method_class(e.method).solved
    if not probe or not mine or "probe" not in rows or solved or e.record.verdict.method == "probe":
        return
    higher = e.metric.higher_is_better
    gain = compare(probe, mine, e.metric) if higher else compare(mine, probe, e.metric)
    margin = default_margin(e.metric, e.metric.of(guess(mine[0])))
    if p_value(gain, margin) > ALPHA:
        return
    ahead = "the probe" if gain.difference > 0 else e.method
    behind = e.method if gain.difference > 0 else "the probe"
    apart = (
        f"{ahead} is ahead of {behind} by {_points(e, abs(gain.difference))}" if gain.difference else "they are equal"
    )
    low = lower_bound(gain)
    most = f"the probe loses at most {_points(e, -low)}" if low < 0 else "the probe loses nothing"
    yield Proposal(
        "use the probe",
        f"on validation {apart}, and {most} (one-sided 95 %, within the margin of {_points(e, margin)}); it trains "
        f"{rows['probe'].trained_parameters or 0:,} parameters instead of {e.row.trained_parameters or 0:,}",
        f"headstart fit {e.record.data.source} --method probe",
    )


def rungs(e: Evidence) -> Iterator[Proposal]:
    """Proposes another number of frozen rungs, by the level with the best frozen features."""
    if len(e.rungs) < 3 or any(one.probe is None for one in e.rungs):
        return
    values = [one.probe or 0.0 for one in e.rungs]
    sign = 1 if e.record.task.higher_is_better else -1
    best = int(np.argmax([sign * value for value in values]))
    depth = min(best + 1, len(values) - 1)  # levels are the inputs of rungs 1, 2, …; the top is above the last
    row = e.row
    now = _frozen(row, len(values))
    others = [one for one in e.record.rows if one.method.partition("@")[0] == "freeze" and one.status == "ok"]
    if now is None or depth in (now, *(_frozen(one, len(values)) for one in others)):  # already part of the comparison
        return
    name = "freeze more" if depth > now else "freeze fewer"
    top = best == len(values) - 1
    where = "at the top, more than anywhere below" if top else f"below {e.rungs[best].rung}"
    also = "" if top else f", {_value(e, values[-1])} at the top"
    evidence = (
        f"a probe on the base's features reaches {_value(e, values[best])} {_interval(e, e.rungs[best])} {where}{also} "
        f"and {_value(e, values[0])} at the lowest level, so that the rungs below can stay frozen; "
        f"{row.method} froze {now}"
    )
    settings = {"rungs": depth, **({"learning_rate": row.learning_rate} if row.method == "freeze" else {})}
    yield Proposal(name, evidence, f"train the rungs above the lowest {depth}", "freeze", settings)


def _frozen(row: Row, levels: int) -> int | None:
    """Number of rungs that the method froze; None for methods without this notion."""
    cls = method_class(row.method)
    if row.method.partition("@")[0] == "freeze":
        told = row.configuration
        return int(told["rungs"] if told.get("rungs") is not None else round(told.get("share", 0.5) * levels))
    return 0 if cls.__name__ in ("Full", "Discriminative", "L2SP") else None


def lower_rate(e: Evidence) -> Iterator[Proposal]:
    row = e.row
    if not row.learning_rate:
        return
    third = row.learning_rate / 3
    early = [
        (run.best_epoch, run.curve[-1].epoch, run.curve[-1].validation_loss, min(_losses(run.curve)))
        for run in row.seeds
        if run.curve and run.best_epoch is not None and _losses(run.curve)
    ]
    rates = [trial.configuration.get("learning_rate") for trial in row.trials]
    if any(rate and abs(rate / third - 1) < 0.01 for rate in rates):  # because validation has already decided it
        return
    if early and all(best <= EARLY * last and (end or 0) > 1.1 * low for best, last, end, low in early):
        best, last, end, low = early[0]
        evidence = (
            f"validation was best after epoch {best:g} of {last:g}, and its loss rose from {low:.3g} to {end:.3g} by "
            "the end"
        )
        advice = f"a third of the rate, {third:.2g}"
        yield Proposal("lower rate", evidence, advice, settings={"learning_rate": third})


def _losses(curve: Sequence[object]) -> list[float]:
    return [loss for point in curve if (loss := getattr(point, "validation_loss", None)) is not None]


def augment(e: Evidence) -> Iterator[Proposal]:
    asked = e.record.configuration
    if not e.task.pooled:  # a word that is left out would leave its tag behind
        return
    if INPUT_KINDS[e.modality].is_image:
        now = str(asked.get("augment", "none"))
        if now not in STRONGER:
            return
        change: dict[str, object] = {"augment": STRONGER[now]}
        advice = f"augmentation {STRONGER[now]} instead of {now}"
    else:
        share = 0.2 if float(str(asked.get("word_dropout") or 0)) else 0.1
        change, advice = {"word_dropout": share}, f"leave {100 * share:.0f} % of the words out, at random, in training"
    gaps = []
    for run in e.row.seeds:
        points = [p for p in run.curve if p.train_loss is not None and p.validation_loss is not None]
        if points:
            at = min(points, key=lambda p: abs(p.epoch - (run.best_epoch or p.epoch)))
            gaps.append((at.train_loss or 0.0, at.validation_loss or 0.0))
    if gaps and all(held > GAP * max(own, 1e-9) for own, held in gaps):
        own, held = (statistics.fmean(values) for values in zip(*gaps))
        evidence = f"at its best epoch the loss is {own:.3g} on the training examples and {held:.3g} on validation"
        yield Proposal("augment", evidence, advice, options=change)


def clean_labels(e: Evidence) -> Iterator[Proposal]:
    if not e.suspects:
        return
    count = len(e.suspects)
    shown = ", ".join(
        f"{e.places.get(number, number)} (rather {label})" for number, label in list(e.suspects.items())[:5]
    )
    evidence = (
        f"a probe that never saw them is sure of another label for {count} training "
        f"example{'s' if count > 1 else ''}: {shown}{', …' if count > 5 else ''}"
    )
    advice = "look at these labels; a trial trains without them"
    yield Proposal("clean labels", evidence, advice, without=tuple(e.suspects))


def more_data(e: Evidence) -> Iterator[Proposal]:
    runs = e.validation.get(e.method)
    if not runs:
        return
    labels, task = list(e.record.task.labels), e.task
    classes, table = task.class_rows(runs), np.array(task.confusion(runs))
    known = [row for row in classes if row.recall is not None]
    rows = [row for row in known if row.support >= FEW]
    if len(known) < 2:
        return
    mean = statistics.fmean(row.recall or 0.0 for row in known)
    small = ", ".join(row.label for row in known if row.support < FEW)
    untold = f"; too few of the validation examples are of {small} to tell" if small else ""
    for row in sorted(rows, key=lambda one: one.recall or 0.0)[:3]:
        if (row.recall or 0.0) > mean - BEHIND:
            continue
        told = ""
        if len(table):  # only for single-label tasks
            at = labels.index(row.label)
            wrong = table[at].copy()
            wrong[at] = 0
            told = f", most often taken for {labels[int(wrong.argmax())]}" if wrong.sum() else ""
        found, usual = f"{100 * (row.recall or 0):.0f} %", f"{100 * mean:.0f} %"
        evidence = f"{row.label} is found {found} of the time on validation, classes on average {usual}{told}{untold}"
        yield Proposal("more data", evidence, f"collect more examples of {row.label}")


RULES = (rungs, lower_rate, augment, clean_labels, use_the_probe, more_data)


def _value(e: Evidence, value: float) -> str:
    return f"{100 * value:.1f} %" if e.percent else f"{value:.4g}"


def _interval(e: Evidence, level: Candidate) -> str:
    return f"[{_value(e, level.low or 0.0)}, {_value(e, level.high or 0.0)}]"


def _points(e: Evidence, value: float) -> str:
    return f"{100 * value:.1f} points" if e.percent else f"{value:.4g}"
