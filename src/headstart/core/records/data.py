"""The task and the data of a comparison, with what the audit found."""

from __future__ import annotations

from dataclasses import dataclass, field

from headstart.core.inputs import INPUT_KINDS, InputKind
from headstart.core.records.record import Record


@dataclass(frozen=True)
class TaskRecord(Record):
    kind: str
    "`single_label`, `multi_label`, `regression`, `tagging`, `spans`, `generation`, or a kind that a package brings"
    modality: str
    """`text`, `text_pair`, `text_words` (texts that come in words), `passage` (a question and its passage), `chat`
    (conversations) or `image`"""
    labels: tuple[str, ...]
    "class names in the order of the scores; empty for regression"
    metric: str
    "name of the metric that ranks the methods"
    higher_is_better: bool = True
    metric_reason: str = ""
    "reason for an unusual default metric; empty if the user chose it"
    noun: str = ""
    "answer to each input: `one label`; empty in older records"
    pipeline: str = ""
    "name of the task on the Hub; empty if it follows from the modality"

    @property
    def input(self) -> InputKind:
        """Kind of the inputs."""
        return INPUT_KINDS[self.modality]


@dataclass(frozen=True)
class Finding(Record):
    """A finding of the data audit."""

    kind: str
    "`duplicate`, `near_duplicate`, `leak`, `conflict`, `empty`, `long`, `unreadable`, `rare_class`, `absent_class`, …"
    severity: str
    "`error` (the rows were left out), `warning` or `note`"
    message: str
    count: int = 0
    examples: tuple[str, ...] = ()
    "a few places, such as `reviews.csv:17`"


@dataclass(frozen=True)
class SplitRecord(Record):
    name: str
    "`train`, `validation` or `test`"
    size: int
    origin: str
    "`given` or `made (stratified)`, `made (by group)`, …"
    class_counts: dict[str, int] = field(default_factory=dict)
    left_out: int = 0
    "rows of a given source that can't be used"


@dataclass(frozen=True)
class TokensRecord(Record):
    """An example as the model sees it, token by token."""

    place: str
    tokens: tuple[str, ...]
    "as text, in order; in the middle of a long one a note on how many are left out"
    trained: tuple[bool, ...]
    "for each token, whether it is trained"


@dataclass(frozen=True)
class DocumentsRecord(Record):
    """Documents in which methods look for passages."""

    source: str
    fingerprint: str
    "hash of the names and texts of all documents"
    count: int
    words: int


@dataclass(frozen=True)
class DataRecord(Record):
    source: str
    fingerprint: str
    "hash of ids, inputs and targets of all splits"
    columns: dict[str, str]
    "column names by role (`text`, `text_b`, `image`, `label`, `prompt`, `answer`, `messages`, `group`, …)"
    seed: int
    "seed of the split, if one was made"
    splits: tuple[SplitRecord, ...]
    rows_read: int
    rows_used: int
    findings: tuple[Finding, ...] = ()
    understood: tuple[str, ...] = ()
    "how it was read, in sentences: column roles, kind of task, delimiter, encoding and rows of each file"
    tokens: tuple[TokensRecord, ...] = ()
    "the first conversations as the model sees them"
    documents: DocumentsRecord | None = None
    "the user's documents, if some were given"
