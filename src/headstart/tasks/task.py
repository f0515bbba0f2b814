"""Task: the target and the input of predictions. Each kind of task is one file of this room.

A kind defines the size of the head, the loss of an example, the way from scores to answers, and their metrics; no other
room asks for a kind by name. To add one, place a file here, or in another package under the entry point
`headstart.tasks`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from headstart.core.inputs import INPUT_KINDS, InputKind
from headstart.core.records.decoding import ALONE, Decoding
from headstart.core.records.record import Record
from headstart.core.registry import Registry

if TYPE_CHECKING:
    from torch import Tensor

    from headstart.data.examples import Examples
    from headstart.stats.metrics import Metric
    from headstart.stats.predictions import Predictions

Modality = Literal["text", "text_pair", "text_words", "passage", "chat", "image"]

TASKS: Registry[type[Task]] = Registry("kind", "headstart.tasks")


Told = tuple[str, str, float | None]
"truth, answer, and the probability of that answer"


@dataclass(frozen=True)
class Label:
    """The label column, unchanged, for kinds that read it themselves.

    names: the different cells, lists as JSON. codes: [n] index of each row's cell in `names`. training: [n] bool.
    order: class names as the source declares them. inputs: the rows' inputs in order, pairs as tuples. note: adds a
    finding by kind, severity, message and rows [n] bool; `{rows}` in the message is replaced by their number.
    """

    column: str
    names: Sequence[str]
    codes: np.ndarray
    training: np.ndarray
    order: Sequence[str]
    inputs: Callable[[], Iterator[Any]]
    note: Callable[[str, Literal["error", "warning", "note"], str, np.ndarray], None]


@dataclass(frozen=True)
class Read:
    """labels: class names in the order of the scores. values: targets of all rows. usable: [n] bool."""

    labels: tuple[str, ...]
    values: np.ndarray
    usable: np.ndarray


@dataclass(frozen=True)
class Prediction:
    """The prediction for one input.

    label: the class, the value as text, or the classes above 1/2 joined by `|` (a JSON list if a name has it).
    """

    label: str
    probabilities: dict[str, float]
    "by class; for regression the one entry `value`"
    confidence: float | None = None
    """probability of the class; for several labels the probability of the decision nearest to one half, for tags the
    lowest of all words; None for a value"""
    tags: tuple[str, ...] = ()
    "for tagging, the tag of each word"

    def __repr__(self) -> str:
        if self.tags:
            return f"Prediction({self.label!r})"
        told = ", ".join(f"{name}: {value:.4g}" for name, value in list(self.probabilities.items())[:6])
        more = f", … {len(self.probabilities) - 6} more" if len(self.probabilities) > 6 else ""
        return f"Prediction({self.label!r}, {{{told}{more}}})"


@dataclass(frozen=True)
class Task(Record):
    """Kind of target, kind of input, and the class names in the order of the scores.

    `Task("single_label", …)` gives an object of the class that is registered under this kind. Records of it hold the
    fields alone, so that they stay readable.
    """

    kind: str
    modality: Modality
    labels: tuple[str, ...] = ()
    class_weights: tuple[float, ...] = ()
    "optional loss weights per class, with mean 1 over the training examples; empty means all 1"
    images: Decoding = ALONE
    "rule for decoding images with more than 8 bits or with transparent pixels"

    exclusive: ClassVar[bool] = False
    "True if each example has exactly one of the classes."
    numeric: ClassVar[bool] = False
    "True if targets are numbers with a unit: training standardises them, and there are no probabilities."
    noun: ClassVar[str] = ""
    "answer to each input, for people: `one label`"
    unsolved: ClassVar[str] = ""
    "reason why no head can be solved for it in one piece; empty if one can"
    reads: ClassVar[tuple[str, ...]] = ("text", "text_pair", "image")
    "modalities that such a task can have"
    pooled: ClassVar[bool] = True
    "True if an input becomes one vector with one answer; False if each of its words does."
    own_head: ClassVar[bool] = False
    "True if the backbone's own head over its vocabulary gives the scores, so that no head is added"
    methods: ClassVar[tuple[str, ...]] = ()
    "methods that a comparison takes by default, if not the usual ones"
    uncertain: ClassVar[str] = ""
    "why its answers have no probabilities, for people; empty if they have"
    pipeline: ClassVar[str] = ""
    "name of the task on the Hub, if it does not follow from the modality"

    def __new__(cls, kind: str = "", *fields: Any, **named: Any) -> Task:
        made: Task = object.__new__(TASKS[kind] if cls is Task and kind else cls)
        return made

    @property
    def input(self) -> InputKind:
        """Kind of the inputs."""
        return INPUT_KINDS[self.modality]

    @property
    def outputs(self) -> int:
        """Number of scores of the head."""
        return len(self.labels)

    @classmethod
    def described(cls, kind: str, labels: Sequence[str]) -> str:
        """Kind and number of classes, for people."""
        return f"{kind}, {len(labels)} classes" if labels else kind

    @classmethod
    def targets_of(cls, label: Label) -> Read | None:
        """Class names and targets of a label column; None to read them by the types of the cells."""
        return None

    def loss(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Sum over the batch of each example's loss, a scalar: cutting a batch into parts changes nothing.

        scores: [B, outputs]; targets: [B, …] as in `Examples`.
        """
        raise NotImplementedError

    def probabilities(self, scores: Tensor) -> Tensor:
        """The head's scores as probabilities or values of the same shape, for `Predictions`."""
        raise NotImplementedError

    def known(self, values: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Rows of features or scores, and their targets, of the units with a target: examples, or all their words."""
        return values, targets

    def count(self, targets: Tensor) -> int:
        """Number of losses of these targets: one per example, or one per word."""
        return len(targets)

    def prior(self, targets: Tensor) -> Tensor:
        """[outputs] biases of a head of zeros, from the training targets alone (the control `majority`)."""
        raise NotImplementedError

    def prediction(self, row: np.ndarray, given: Any = None) -> Prediction:
        """The answer for one input. row: [outputs] probabilities or values; given: the input."""
        raise NotImplementedError

    def predictions(self, examples: Examples, scores: np.ndarray, texts: tuple[str, ...] | None = None) -> Predictions:
        """Scores of `probabilities` with the examples' truths, as statistics read them. texts: answers in words."""
        from headstart.stats.predictions import Predictions

        return Predictions.of(examples, scores, texts)

    def kept(self, given: Any, text: str, scores: np.ndarray) -> dict[str, Any]:
        """What the run's folder keeps of an answer in words. scores: [columns] how it was judged."""
        return {"answer": text}

    def joined(self, runs: Sequence[Predictions]) -> Predictions:
        """One set of predictions from those of several seeds: the mean of their scores."""
        scores = np.stack([run.scores for run in runs]).astype(np.float64).mean(axis=0)  # [n, outputs]
        return replace(runs[0], scores=scores)

    def decided(self, scores: np.ndarray) -> np.ndarray:
        """[n, k] the decisions that these probabilities make: the class of each example, word or label."""
        return scores.argmax(-1).reshape(len(scores), -1)

    def code(self) -> list[str]:
        """Lines of Python that print the answers of `scores`, a tensor [n, outputs], for the readme of an export."""
        raise NotImplementedError

    @property
    def metrics(self) -> dict[str, Metric]:
        """Metrics by name, the default first."""
        from headstart.stats.metrics import metrics_of

        return metrics_of(self.kind)

    def metric(self, name: str | None = None) -> Metric:
        """The metric of that name, or the default one. Raises `ConfigurationError`, with the nearest name."""
        from headstart.stats.metrics import named

        return named(self.metrics, name, self.kind)

    def defines(self, metric: Metric, targets: np.ndarray) -> bool:
        """True if examples with these targets give the metric a value."""
        return metric.defined(targets, self.outputs)

    def beside(self, main: Metric) -> tuple[Metric, ...]:
        """Metrics that the table shows in addition to the main one."""
        return ()

    def chance_metric(self, metric: Metric) -> Metric:
        """A metric by which a constant answer is as good as a random one: the metric itself, except for F1."""
        return metric

    def confusion(self, runs: Sequence[Predictions]) -> tuple[tuple[int, ...], ...]:
        """[C, C] counts, rows: true class, columns: predicted class, summed over runs; empty without classes."""
        return ()

    def class_rows(self, runs: Sequence[Predictions]) -> tuple[Any, ...]:
        """`ClassRow`s: precision, recall and F1 of each class, from counts summed over runs; empty for numbers."""
        from headstart.stats.class_counts import per_class

        return per_class(runs, self.labels)

    def losses(self, mean: Predictions) -> tuple[np.ndarray, np.ndarray]:
        """[n] -log of the truth's probability, and [n] True if the answer is wrong; for the largest mistakes."""
        raise NotImplementedError

    def told(self, mean: Predictions, i: int, given: Any) -> Told:
        """Truth and answer of example i as text."""
        raise NotImplementedError
