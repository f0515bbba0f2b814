"""Record of a comparison: written by `compare`, read by reports, gates and the server.

`docs/record.md` describes the JSON for readers of other languages; `SCHEMA` changes with its meaning.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from headstart.core.records.data import DataRecord, TaskRecord
from headstart.core.records.environment import EnvironmentRecord
from headstart.core.records.model import ModelRecord
from headstart.core.records.record import Record
from headstart.core.records.training import SeedRun, Shortened, Stop, Trial
from headstart.core.showing import ShowingHTML

SCHEMA = "headstart.comparison/2"
"in /1 the verdict was the cheapest method not shown to be worse; fields new in /2 are empty in its records"


@dataclass(frozen=True)
class ClassRow(Record):
    label: str
    precision: float | None
    recall: float | None
    f1: float | None
    support: int


@dataclass(frozen=True)
class StandardError(Record):
    """Standard errors of a paired difference (`stats.non_inferiority`)."""

    examples: float | None
    "standard error over test examples or clusters; it shrinks with the square root of their number"
    seeds: float = 0.0
    "standard error from the spread between seeds, which more examples do not reduce"
    unit: float = 0.0
    "maximum change by one example"
    freedom: float | None = None
    "degrees of freedom; None means infinite"


@dataclass(frozen=True)
class Gain(Record):
    """The reference against a constant guess (the classes' frequencies, or the mean) on the same examples."""

    metric: str
    guess: float | None
    "value of the guess"
    difference: float | None
    "value of the reference minus the guess's, with a 95 % interval"
    low: float | None = None
    high: float | None = None
    p_value: float | None = None
    "p-value of a paired permutation test of no difference"
    standard_error: StandardError | None = None

    def shown(self, higher_is_better: bool, alpha: float) -> bool:
        """True if the reference is significantly better than the guess."""
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
    "difference from the reference on this part, paired by example"
    difference_low: float | None = None
    difference_high: float | None = None
    p_value: float | None = None
    gain: Gain | None = None
    "of the reference alone"


@dataclass(frozen=True)
class Mistake(Record):
    """A test example on which the recommended method is wrong, or far off."""

    place: str
    "such as `reviews.csv:17`"
    input: str
    "the text, cut after 300 characters, or the file of an image"
    truth: str
    predicted: str
    confidence: float | None
    "probability of the prediction, mean over seeds; None for numbers"
    loss: float
    "negative log probability of the true class; for numbers the absolute error"


@dataclass(frozen=True)
class Score(Record):
    """A metric on the test split: mean over seeds, with a 95 % interval; None if undefined."""

    metric: str
    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Row(Record):
    """Results of a method. value, low, high: mean over seeds on the test split, with a 95 % interval."""

    method: str
    status: str
    """`ok`, `diverged`, `not applicable: …`, `failed: …`, `not run`, or `stopped: …` in a race; the values are then
    those of the last completed training"""
    metric: str
    configuration: dict[str, Any] = field(default_factory=dict)
    "all settings of the method"
    value: float | None = None
    low: float | None = None
    high: float | None = None
    also: tuple[Score, ...] = ()
    "additional metrics: AUROC for two classes"
    validation_value: float | None = None
    learning_rate: float | None = None
    trained_parameters: int | None = None
    trained_share: float | None = None
    peak_memory_bytes: int | None = None
    train_seconds: float | None = None
    "duration of one training at the chosen configuration in seconds, median over seeds"
    tuning_seconds: float | None = None
    "duration of all trials together, in seconds"
    latency_seconds: float | None = None
    "median latency of one example at batch size 1, in seconds"
    tokens_in: float | None = None
    "mean tokens that the model reads per text, its prompt included"
    tokens_out: float | None = None
    "mean tokens of an answer in words; 0 where a head on features answers"
    artifact_bytes: int | None = None
    difference: float | None = None
    "value minus the reference's, paired by example"
    difference_low: float | None = None
    difference_high: float | None = None
    p_value: float | None = None
    "p-value of a paired permutation test of no difference from the reference"
    p_adjusted: float | None = None
    "p-value after Holm's correction over the methods"
    standard_error: StandardError | None = None
    "standard errors of the difference"
    control: bool = False
    seeds: tuple[SeedRun, ...] = ()
    trials: tuple[Trial, ...] = ()
    classes: tuple[ClassRow, ...] = ()
    confusion: tuple[tuple[int, ...], ...] = ()
    "rows: true class, columns: predicted class; summed over seeds"
    parts: tuple[PartRow, ...] = ()
    "results by test file, or by the values of a column"
    notes: tuple[str, ...] = ()
    stopped: Stop | None = None
    "set if a race stopped the method; its values are those of the last training"
    shortened: Shortened | None = None
    "set if the budget made the trainings shorter than usual"
    gains: tuple[Gain, ...] = ()
    "learned beyond the guess, for the reference: by the main metric, else by more sensitive ones"
    summary: str = ""
    "the method in one line"


@dataclass(frozen=True)
class Verdict(Record):
    method: str | None
    "the recommended method"
    sentence: str
    reference: str | None = None
    "the best method by validation, which is the reference of all tests"
    alpha: float = 0.05
    lines: tuple[str, ...] = ()
    "the verdict in lines: the best, the cheapest within the margin, the worth of tuning, …"
    cheapest: str | None = None
    "the cheapest non-inferior method"
    most_lost: float | None = None
    "maximum loss of the cheapest against the reference: one-sided 95 % bound, corrected for all candidates"
    margin: float | None = None
    "non-inferiority margin in units of the metric; 0.01 is one point of accuracy"
    prefer: str = "quality"
    "criterion of the recommendation: `quality`, `training`, `latency` or `size`"
    examples_needed: int | None = None
    "estimated number of test examples that would show a cheaper method to be non-inferior"

    @property
    def said(self) -> tuple[str, ...]:
        """The lines, or the sentence of a record of the first schema."""
        return self.lines or (self.sentence,)

    @property
    def named(self) -> tuple[str, ...]:
        """Methods whose models a run keeps: the recommended one, the best, and the cheapest within the margin."""
        return tuple(dict.fromkeys(name for name in (self.method, self.reference, self.cheapest) if name))


@dataclass(frozen=True)
class Forecast(Record):
    """Forecast of the duration and memory of the trainings, from a few steps of each method."""

    least_seconds: float
    "minimum: a race continues with a single method after its heat; without a race equal to `most_seconds`"
    most_seconds: float
    "maximum: no method is stopped and no training ends early; at most the rest of the budget"
    peak_memory_bytes: int | None = None
    "peak memory of the largest step in bytes; on a CPU, cached kernels per text length are extra"
    epochs: float | None = None
    "epochs of the longest trainings, if a budget was too short for the usual number"
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
    "options for `headstart compare` to repeat this run"
    status: str = "complete"
    "`complete`, or `partial` if the run was stopped"
    seconds: float | None = None
    forecast: Forecast | None = None
    folds: int = 0
    """number of folds of a cross-validation, which tests every example once (per repetition); the seeds of a row are
    then its folds, and kept models are of the first one"""
    mistakes: tuple[Mistake, ...] = ()
    "mistakes of the recommended method, the largest loss first"
    schema: str = SCHEMA

    def row(self, method: str) -> Row:
        return next(row for row in self.rows if row.method == method)
