"""The record of a ranking: how well many pretrained models fit one task, before any of them is trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from headstart.core.records.comparison import EnvironmentRecord
from headstart.core.records.record import Record

SCHEMA = "headstart.ranking/1"


@dataclass(frozen=True)
class Candidate(Record):
    """One model, or one rung of it, with what its frozen features are worth."""

    model: str
    rung: str = "top"
    "what the features are read from: the top, or what enters this rung"
    status: str = "ok"
    "or why the model could not be scored"
    parameters: int | None = None
    dimension: int | None = None
    image_size: tuple[int, ...] = ()
    "height and width at which the images were read; empty for texts"
    probe: float | None = None
    "metric of a linear head, solved on a subset of the training examples, on validation"
    low: float | None = None
    high: float | None = None
    knn: float | None = None
    "metric of a vote of the five nearest of that subset, on validation"
    logme: float | None = None
    "on the subset; see `stats.transferability`"
    h_score: float | None = None
    "on the subset, for single-label tasks"
    tuned: float | None = None
    "metric on validation after fine-tuning in full, where the ranking was confirmed; see `comparison.confirm`"
    tuned_low: float | None = None
    tuned_high: float | None = None
    tuned_share: float | None = None
    "of its training after which that was measured: below 1 for one that was clearly behind"
    tuned_seconds: float | None = None
    "of that training"
    behind: float | None = None
    "the first one's metric less this one's, paired by validation example, where both trained to the end"
    behind_low: float | None = None
    behind_high: float | None = None
    seconds: float | None = None
    "for loading, reading the features and scoring; rungs of a model share the first two"
    findings: tuple[str, ...] = ()
    "what the model does not see of the data, in sentences: texts that it cuts, words that it does not know"

    @property
    def name(self) -> str:
        return self.model if self.rung == "top" else f"{self.model} below {self.rung}"


@dataclass(frozen=True)
class Ranking(Record):
    """candidates: best first; those that were tuned as they came in, the others by LogME, then what has no score."""

    source: str
    "of the data"
    fingerprint: str
    metric: str
    examples: int
    "of the training split that were used"
    validation: int
    candidates: tuple[Candidate, ...]
    environment: EnvironmentRecord
    configuration: dict[str, Any]
    schema: str = SCHEMA
