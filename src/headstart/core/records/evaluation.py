"""The record of an evaluation: tuned models against their base, check by check. What `headstart evaluate` writes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from headstart.core.errors import ArtifactError
from headstart.core.records.comparison import EnvironmentRecord
from headstart.core.records.record import Record

SCHEMA = "headstart.evaluation/2"


@dataclass(frozen=True)
class Score(Record):
    """A metric as a mean over the seeds, with its 95 % interval."""

    value: float
    low: float
    high: float
    seeds: int = 1


@dataclass(frozen=True)
class Flip(Record):
    """An example on which base and tuned model part: one of them is right."""

    place: str
    input: str
    "the text, cut at 200 letters; of an image its place alone"
    truth: str
    base: str
    tuned: str
    confidence: float
    "of the tuned model in what it says"
    picture: str = ""
    "of an image a small copy, as a data URI"


@dataclass(frozen=True)
class CheckRecord(Record):
    """One check of one tuned model."""

    check: str
    metric: str
    higher_is_better: bool
    examples: int
    base: Score
    tuned: Score
    difference: float
    "tuned less base, paired by example"
    low: float
    high: float
    "its two-sided 95 % interval"
    p_value: float
    "two-sided, of no difference"
    lower: float
    upper: float
    "its one-sided 95 % bounds, by which gates decide"
    tolerance: float
    status: str
    """what is shown of tuned against base: `improved`; `not worse` by more than the tolerance; `worse, tolerated`:
    worse, and not by more than the tolerance; `worse`, by how much is open; `regressed`: worse by more than the
    tolerance; or `undecided`"""
    gate: str
    "`improved`, `not_regressed` or `none`"
    verdict: str
    "of the gate: `passed`, `failed`, `undecided` or `none`"
    p_gate: float | None = None
    "one-sided, of what the gate asks; after Holm's correction over the model's checks that have to improve"
    examples_needed: int | None = None
    "about how many examples in all would decide, with a chance of 80 %, if the difference stays what it is, and"
    more_examples: int | None = None
    "how many more than there are; None where the gate is decided, or no number would decide it"
    gained: int = 0
    "examples that only the tuned model has right, and"
    lost: int = 0
    "that only the base has right; of the first seed"
    flips: tuple[Flip, ...] = ()
    "the most confident of both"
    kind: str = ""
    "of check: `target`, `retention`, `robustness`, …"


@dataclass(frozen=True)
class Latency(Record):
    """Seconds a batch, over repeated batches."""

    batch: int
    length: str
    "`short`, `long`, the texts' shorter and longer half; `any` for images"
    p50_seconds: float
    p95_seconds: float
    p99_seconds: float


@dataclass(frozen=True)
class External(Record):
    """A model behind an interface of others', for comparison: what the suite says of it."""

    name: str
    money: float
    "a thousand examples, by its prices for tokens in and out"
    quality: float | None = None
    "in the unit of the target's metric, where the user has measured it"


@dataclass(frozen=True)
class Cost(Record):
    """What serving a model takes, measured here."""

    p50_seconds: float
    "one example at batch size 1"
    p95_seconds: float
    p99_seconds: float
    examples_a_second: float
    "in batches of 32"
    artifact_bytes: int | None
    "None for the base, which is no artifact"
    latencies: tuple[Latency, ...] = ()
    "by batch size and length"
    peak_memory_bytes: int | None = None
    "of the process while it answered"
    tokens: float | None = None
    "of an example, on average; what comes out is a label"
    joules: float | None = None
    "an example, in batches of 32; None where the machine does not report its energy"
    money: float | None = None
    "a thousand examples in batches of 32, by the suite's price of a machine hour"


@dataclass(frozen=True)
class Judged(Record):
    """One tuned model, all its seeds together."""

    name: str
    method: str
    models: tuple[str, ...]
    "folders, one a seed"
    verdict: str
    "`failed` where a gate failed, else `undecided` where one is, else `passed`"
    checks: tuple[CheckRecord, ...]
    cost: Cost | None = None


@dataclass(frozen=True)
class Evaluation(Record):
    """Every model against the same base, or another training, on the same examples."""

    data: str
    fingerprint: str
    "of the data"
    base: str
    suite: str
    "its file, or `default`"
    verdict: str
    "of all models: `failed` where a gate failed, else `undecided` where one is, else `passed`"
    models: tuple[Judged, ...]
    environment: EnvironmentRecord
    base_cost: Cost | None = None
    notes: tuple[str, ...] = ()
    configuration: dict[str, Any] = field(default_factory=dict)
    currency: str = ""
    externals: tuple[External, ...] = ()
    against: str = "base"
    "what the models are held against: their base, or another run's model"
    schema: str = SCHEMA

    @property
    def passed(self) -> bool:
        """Whether every model passed every gate."""
        return self.verdict == "passed"

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Evaluation:
        if isinstance(value, dict) and (found := value.get("schema")) != SCHEMA:
            raise ArtifactError(
                f"this evaluation has the schema {found!r}, not {SCHEMA!r}: another version of Headstart wrote it, "
                "whose gates decided otherwise. Evaluate the run again."
            )
        return super().from_json(value)
