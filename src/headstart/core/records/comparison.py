"""The record of one comparison: what `compare` writes, and what reports, gates and the server read.

`docs/record.md` describes the JSON for readers of other languages; `SCHEMA` changes with its meaning.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from headstart.core.duration import length
from headstart.core.records.record import Record
from headstart.core.showing import ShowingHTML

SCHEMA = "headstart.comparison/2"
"/1 chose the cheapest method that was not shown to be worse; what /2 added is empty in its records"


@dataclass(frozen=True)
class TaskRecord(Record):
    kind: str
    "`single_label`, `multi_label` or `regression`"
    modality: str
    "`text`, `text_pair` or `image`"
    labels: tuple[str, ...]
    "class names in the order of the scores; empty for regression"
    metric: str
    "name of the metric that ranks the methods"
    higher_is_better: bool = True
    metric_reason: str = ""
    "why it is not the usual one for this kind of task, where the user did not ask for it"


@dataclass(frozen=True)
class ModelRecord(Record):
    source: str
    "what the user named: a hub name, a folder, `builtin/…`"
    loader: str
    "`transformers`, `timm`, `torchvision`, `module` or `builtin`"
    kind: str
    "`encoder`, `decoder`, `vit`, `cnn` or `module`"
    fingerprint: str
    "hash of all weights"
    parameters: int
    dimension: int
    "size of the pooled features"
    pooling: str
    rungs: tuple[str, ...]
    "names of the ladder's rungs, from input to output"


@dataclass(frozen=True)
class Finding(Record):
    """One thing the audit found."""

    kind: str
    "`duplicate`, `near_duplicate`, `leak`, `conflict`, `empty`, `long`, `unreadable`, `rare_class`, `absent_class`, …"
    severity: str
    "`error` (the rows were left out), `warning` or `note`"
    message: str
    count: int = 0
    examples: tuple[str, ...] = ()
    "a few places, such as `reviews.csv:17`, most telling first"


@dataclass(frozen=True)
class SplitRecord(Record):
    name: str
    "`train`, `validation` or `test`"
    size: int
    origin: str
    "`given` or `made (stratified)`, `made (by group)`, …"
    class_counts: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class DataRecord(Record):
    source: str
    fingerprint: str
    "hash of ids, inputs and targets of all splits"
    columns: dict[str, str]
    "role (`text`, `text_b`, `image`, `label`, `group`) to the column's name"
    seed: int
    "of the split, where one was made"
    splits: tuple[SplitRecord, ...]
    rows_read: int
    rows_used: int
    findings: tuple[Finding, ...] = ()
    understood: tuple[str, ...] = ()
    "how it was read, in lines for people: the columns' roles, the kind of task, each file's delimiter, encoding, rows"


@dataclass(frozen=True)
class EnvironmentRecord(Record):
    headstart: str
    python: str
    libraries: dict[str, str]
    platform: str
    processor: str
    cores: int
    memory_bytes: int
    device: str
    precision: str
    started: str
    "UTC, ISO 8601"
    accelerator: str = ""
    "the GPU's name"
    cuda: str = ""
    "version of CUDA that PyTorch was built with, where a GPU computed"
    numerics: tuple[str, ...] = ()
    "what this kind of device computes in another way than others do"


@dataclass(frozen=True)
class Point(Record):
    """One point of a training curve."""

    epoch: float
    step: int
    train_loss: float | None = None
    validation_loss: float | None = None
    validation_value: float | None = None
    learning_rate: float | None = None


@dataclass(frozen=True)
class Stop(Record):
    """Why a race gave a method no longer training than its last, which its row is measured on."""

    share: float
    "of the steps of a usual training that its last one had; its schedule ended with them"
    reason: str
    """`behind`: clearly worse than the leader; `time`: a longer one did not fit the budget; `diverged`; in records of
    earlier versions also `other`: another configuration of the method was ahead"""
    leader: str = ""
    difference: float | None = None
    "its value on validation less the leader's, after trainings of the same length"
    low: float | None = None
    high: float | None = None
    epochs: float | None = None
    "passes over the training examples in that training"
    examples: int | None = None
    "training examples that it saw: fewer than all where it ended within its first epoch"

    @property
    def length(self) -> str:
        """Of the training that the row is measured on: `3 epochs`; of earlier records `11 % of its training`."""
        if self.epochs is None:
            return f"{self.share:.0%}".replace("%", " % of its training")
        return length(self.epochs, self.examples or 0)


@dataclass(frozen=True)
class Shortened(Record):
    """The length of a row's trainings where a budget left them fewer steps than usual."""

    epochs: float
    "passes over the training examples"
    examples: int
    "training examples that were seen: fewer than all where the training ended within its first epoch"
    usual_epochs: int

    @property
    def length(self) -> str:
        """`1.4 epochs, where 40 are usual`."""
        verb = "is" if self.usual_epochs == 1 else "are"
        return f"{length(self.epochs, self.examples)}, where {self.usual_epochs} {verb} usual"


@dataclass(frozen=True)
class Trial(Record):
    """One configuration tried on validation."""

    configuration: dict[str, Any]
    "the fields in which this trial differs from the method's defaults"
    validation_value: float | None
    validation_loss: float | None = None
    seconds: float | None = None
    status: str = "ok"
    "`ok`, `diverged`, `stopped` or `failed: …`"
    chosen: bool = False
    stopped: Stop | None = None


@dataclass(frozen=True)
class Share(Record):
    """A model between its start and its tuned weights, on validation."""

    share: float
    "of the tuned weights"
    validation_value: float | None = None
    validation_loss: float | None = None


@dataclass(frozen=True)
class SeedRun(Record):
    seed: int
    validation_value: float | None
    value: float | None
    "the metric on test"
    train_seconds: float | None
    best_epoch: float | None = None
    curve: tuple[Point, ...] = ()
    interpolation: tuple[Share, ...] = ()
    "of a method that interpolates between start and tuned weights: every share that was tried"


@dataclass(frozen=True)
class ClassRow(Record):
    label: str
    precision: float | None
    recall: float | None
    f1: float | None
    support: int


@dataclass(frozen=True)
class StandardError(Record):
    """How well a paired difference is known (`stats.non_inferiority`)."""

    examples: float | None
    "over test examples or clusters; it shrinks with the root of their number"
    seeds: float = 0.0
    "of the spread between seeds, which more examples do not lessen"
    unit: float = 0.0
    "most that one example can change"
    freedom: float | None = None
    "degrees of freedom; None for infinitely many"


@dataclass(frozen=True)
class Gain(Record):
    """The reference against a constant guess (the classes' frequencies, or the mean) on the same examples."""

    metric: str
    guess: float | None
    "what the guess reaches"
    difference: float | None
    "the reference's value less the guess's, with a 95 % interval"
    low: float | None = None
    high: float | None = None
    p_value: float | None = None
    "paired permutation test of no difference"
    standard_error: StandardError | None = None

    def shown(self, higher_is_better: bool, alpha: float) -> bool:
        """Whether the reference is significantly better than the guess."""
        difference = (self.difference or 0.0) * (1 if higher_is_better else -1)
        return difference > 0 and self.p_value is not None and self.p_value <= alpha


@dataclass(frozen=True)
class PartRow(Record):
    """A method on one part of the test split, such as a language: mean over seeds, with a 95 % interval."""

    name: str
    size: int
    "examples"
    value: float | None
    low: float | None
    high: float | None
    difference: float | None = None
    "from the reference on this part, paired by example"
    difference_low: float | None = None
    difference_high: float | None = None
    p_value: float | None = None
    gain: Gain | None = None
    "of the reference alone"


@dataclass(frozen=True)
class Mistake(Record):
    """A test example on which the method to use is wrong, or far off."""

    place: str
    "such as `reviews.csv:17`"
    input: str
    "the text, cut after 300 characters; the file of an image"
    truth: str
    predicted: str
    confidence: float | None
    "probability of what was predicted, mean over seeds; None for numbers"
    loss: float
    "negative log of the truth's probability; for numbers the absolute error"


@dataclass(frozen=True)
class Score(Record):
    """A metric on the test split: mean over seeds, with a 95 % interval; None where it is not defined."""

    metric: str
    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Row(Record):
    """One method. `value`, `low`, `high` are of the test split, as a mean over seeds, with a 95 % interval."""

    method: str
    status: str
    """`ok`, `diverged`, `not applicable: …`, `failed: …`, `not run`, or `stopped: …` in a race, whose values are of the
    last training that the method completed"""
    metric: str
    configuration: dict[str, Any] = field(default_factory=dict)
    "every field of the method as it was run"
    value: float | None = None
    low: float | None = None
    high: float | None = None
    also: tuple[Score, ...] = ()
    "metrics beside the main one: AUROC for two classes"
    validation_value: float | None = None
    learning_rate: float | None = None
    trained_parameters: int | None = None
    trained_share: float | None = None
    peak_memory_bytes: int | None = None
    train_seconds: float | None = None
    "median over seeds of one training at the chosen configuration"
    tuning_seconds: float | None = None
    "all trials together"
    latency_seconds: float | None = None
    "median for one example at batch size 1"
    artifact_bytes: int | None = None
    difference: float | None = None
    "this method's value less the reference's, paired by example"
    difference_low: float | None = None
    difference_high: float | None = None
    p_value: float | None = None
    "paired permutation test of no difference from the reference"
    p_adjusted: float | None = None
    "after Holm's correction over the methods compared"
    standard_error: StandardError | None = None
    "of the difference"
    control: bool = False
    seeds: tuple[SeedRun, ...] = ()
    trials: tuple[Trial, ...] = ()
    classes: tuple[ClassRow, ...] = ()
    confusion: tuple[tuple[int, ...], ...] = ()
    "rows: true class, columns: predicted class; summed over seeds"
    parts: tuple[PartRow, ...] = ()
    "by file where the test examples come from several, or by the column asked for"
    notes: tuple[str, ...] = ()
    stopped: Stop | None = None
    "of a method that a race gave no longer training; its values are of the last one"
    shortened: Shortened | None = None
    "of a method that a race did not stop, where the budget left less than a usual training for it"
    gains: tuple[Gain, ...] = ()
    "of the reference: by the metric that ranks, and where that shows none, by metrics that see more"
    summary: str = ""
    "the method in a line"


@dataclass(frozen=True)
class Verdict(Record):
    method: str | None
    "the method to use"
    sentence: str
    reference: str | None = None
    "the best method by validation, against which the others are tested"
    alpha: float = 0.05
    lines: tuple[str, ...] = ()
    "the sentence in parts: the best, the cheapest within the margin, whether tuning is worth it, …"
    cheapest: str | None = None
    "the cheapest method that is shown to lose less than the margin against the reference"
    most_lost: float | None = None
    "what the cheapest may lose against the reference at most: the one-sided 95 % bound, corrected for all candidates"
    margin: float | None = None
    "in the metric's own scale: 0.01 is one point of accuracy"
    prefer: str = "quality"
    "`quality`, `training`, `latency` or `size`: what chose the method to use"
    examples_needed: int | None = None
    "about how many test examples would show a cheaper method to lie within the margin"

    @property
    def said(self) -> tuple[str, ...]:
        """The lines; of a record of the first schema its sentence."""
        return self.lines or (self.sentence,)

    @property
    def named(self) -> tuple[str, ...]:
        """The methods whose models a run keeps: the one to use, the best and the cheapest within the margin."""
        return tuple(dict.fromkeys(name for name in (self.method, self.reference, self.cheapest) if name))


@dataclass(frozen=True)
class Forecast(Record):
    """What the trainings were expected to take, from a few steps of each method."""

    least_seconds: float
    "if a race goes on with one method after its heat; without one as `most_seconds`"
    most_seconds: float
    "if no method is stopped and no training ends early; under a budget at most what is left of it"
    peak_memory_bytes: int | None = None
    "of the largest step; on a CPU the kernels that are kept for each length of text come on top"
    epochs: float | None = None
    "passes over the training examples of the longest trainings, where a budget was too short for as many as usual"
    trainings: int | None = None
    "at most"


@dataclass(frozen=True)
class Comparison(ShowingHTML, Record):
    task: TaskRecord
    model: ModelRecord
    data: DataRecord
    seeds: tuple[int, ...]
    environment: EnvironmentRecord
    rows: tuple[Row, ...]
    verdict: Verdict
    configuration: dict[str, Any] = field(default_factory=dict)
    "the options with which `headstart compare` repeats this run"
    status: str = "complete"
    "`complete`, or `partial` where the run was stopped"
    seconds: float | None = None
    forecast: Forecast | None = None
    folds: int = 0
    """of a cross-validation: every example was tested once (for each repetition) by a model trained without it; the
    seeds of a row are then its folds, and kept models are of the first one"""
    mistakes: tuple[Mistake, ...] = ()
    "of the method to use, the largest loss first"
    schema: str = SCHEMA

    def row(self, method: str) -> Row:
        return next(row for row in self.rows if row.method == method)
