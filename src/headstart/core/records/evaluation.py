"""Record of an evaluation by `headstart evaluate`: tuned models against their base, check by check."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from headstart.core.errors import ArtifactError
from headstart.core.records.environment import EnvironmentRecord
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
    """An example that only one of base and tuned model predicts correctly."""

    place: str
    input: str
    "the text, cut at 200 letters; for an image its place"
    truth: str
    base: str
    tuned: str
    confidence: float
    "confidence of the tuned model in its prediction"
    picture: str = ""
    "a thumbnail of an image, as a data URI"


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
    "difference tuned minus base, paired by example"
    low: float
    high: float
    "two-sided 95 % interval of the difference"
    p_value: float
    "two-sided p-value of no difference"
    lower: float
    upper: float
    "one-sided 95 % bounds of the difference, by which gates decide"
    tolerance: float
    status: str
    """proven result of tuned against base: `improved`; `not worse` (non-inferior by the tolerance); `worse, tolerated`
    (worse, but by less than the tolerance); `worse` (by an unknown amount); `regressed` (by more than the tolerance);
    or
    `undecided`"""
    gate: str
    "`improved`, `not_regressed` or `none`"
    verdict: str
    "verdict of the gate: `passed`, `failed`, `undecided` or `none`"
    p_gate: float | None = None
    "one-sided p-value of the gate's claim, after Holm's correction over the checks that have to improve"
    examples_needed: int | None = None
    "estimated total number of examples that would decide with 80 % power, if the difference stays the same"
    more_examples: int | None = None
    "estimated number of further examples; None if the gate is decided, or if no number would decide it"
    gained: int = 0
    "number of examples that only the tuned model predicts correctly, for the first seed"
    lost: int = 0
    "number of examples that only the base predicts correctly, for the first seed"
    flips: tuple[Flip, ...] = ()
    "the most confident examples of both kinds"
    kind: str = ""
    "kind of check: `target`, `retention`, `robustness`, …"


@dataclass(frozen=True)
class Latency(Record):
    """Latency of a batch in seconds, over repeated batches."""

    batch: int
    length: str
    "`short` or `long` for the shorter and longer half of the texts; `any` for images"
    p50_seconds: float
    p95_seconds: float
    p99_seconds: float


@dataclass(frozen=True)
class External(Record):
    """An external model behind an API, for comparison, by the suite's figures."""

    name: str
    money: float
    "price of a thousand examples, by its prices for input and output tokens"
    quality: float | None = None
    "quality in the target's metric, if the user has measured it"


@dataclass(frozen=True)
class Cost(Record):
    """Measured costs of serving a model."""

    p50_seconds: float
    "latency of one example at batch size 1, in seconds"
    p95_seconds: float
    p99_seconds: float
    examples_a_second: float
    "throughput in batches of 32, in examples per second"
    artifact_bytes: int | None
    "bytes of the artifact; None for the base"
    latencies: tuple[Latency, ...] = ()
    "latencies by batch size and length"
    peak_memory_bytes: int | None = None
    "peak memory of the process during predictions, in bytes"
    tokens: float | None = None
    "mean number of input tokens per example; the output is a label"
    joules: float | None = None
    "energy per example in batches of 32, in joules; None if the machine does not report it"
    money: float | None = None
    "price of a thousand examples in batches of 32, by the suite's price of a machine hour"


@dataclass(frozen=True)
class Judged(Record):
    """One tuned model, all its seeds together."""

    name: str
    method: str
    models: tuple[str, ...]
    "model folders, one per seed"
    verdict: str
    "`failed` if a gate failed, else `undecided` if one is undecided, else `passed`"
    checks: tuple[CheckRecord, ...]
    cost: Cost | None = None


@dataclass(frozen=True)
class Evaluation(Record):
    """Every model against the same base, or another training, on the same examples."""

    data: str
    fingerprint: str
    "fingerprint of the data"
    base: str
    suite: str
    "file of the suite, or `default`"
    verdict: str
    "verdict over all models: `failed` if a gate failed, else `undecided` if one is undecided, else `passed`"
    models: tuple[Judged, ...]
    environment: EnvironmentRecord
    base_cost: Cost | None = None
    notes: tuple[str, ...] = ()
    configuration: dict[str, Any] = field(default_factory=dict)
    currency: str = ""
    externals: tuple[External, ...] = ()
    against: str = "base"
    "reference of the comparison: the base, or another run's model"
    schema: str = SCHEMA

    @property
    def passed(self) -> bool:
        """True if every model passed every gate."""
        return self.verdict == "passed"

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Evaluation:
        if isinstance(value, dict) and (found := value.get("schema")) != SCHEMA:
            raise ArtifactError(
                f"this evaluation has the schema {found!r}, not {SCHEMA!r}: another version of Headstart wrote it, "
                "whose gates decided otherwise. Evaluate the run again."
            )
        return super().from_json(value)
