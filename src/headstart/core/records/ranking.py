"""Record of a ranking of pretrained models by their fit to a task, without training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from headstart.core.records.environment import EnvironmentRecord
from headstart.core.records.record import Record

SCHEMA = "headstart.ranking/1"


@dataclass(frozen=True)
class Candidate(Record):
    """One model, or one of its rungs, with the scores of its frozen features."""

    model: str
    rung: str = "top"
    "origin of the features: the top, or the input of this rung"
    status: str = "ok"
    "`ok`, or the reason why the model could not be scored"
    parameters: int | None = None
    dimension: int | None = None
    image_size: tuple[int, ...] = ()
    "input height and width of images, in pixels; empty for texts"
    probe: float | None = None
    "metric on validation of a linear head, solved on a subset of the training examples"
    low: float | None = None
    high: float | None = None
    knn: float | None = None
    "metric on validation of the five nearest neighbours in that subset"
    logme: float | None = None
    "LogME on the subset; see `stats.transferability`"
    h_score: float | None = None
    "H-score on the subset, for single-label tasks"
    tuned: float | None = None
    "metric on validation after fine-tuning in full, if the ranking was confirmed; see `comparison.confirm`"
    tuned_low: float | None = None
    tuned_high: float | None = None
    tuned_share: float | None = None
    "share of the training before this measurement; below 1 if a race stopped it"
    tuned_seconds: float | None = None
    "duration of that training, in seconds"
    behind: float | None = None
    "metric of the first model minus this one's, paired by validation example, if both trained to the end"
    behind_low: float | None = None
    behind_high: float | None = None
    seconds: float | None = None
    "seconds for loading, features and scoring; rungs of a model share the first two"
    findings: tuple[str, ...] = ()
    "findings on how the model sees the data, such as truncated texts and unknown words, in sentences"

    @property
    def name(self) -> str:
        return self.model if self.rung == "top" else f"{self.model} below {self.rung}"


@dataclass(frozen=True)
class Ranking(Record):
    """candidates: best first: fine-tuned ones in the order of the race, others by LogME, then those without a score."""

    source: str
    "fingerprint of the data"
    fingerprint: str
    metric: str
    examples: int
    "number of training examples used"
    validation: int
    candidates: tuple[Candidate, ...]
    environment: EnvironmentRecord
    configuration: dict[str, Any]
    schema: str = SCHEMA
