"""Generation: the model goes on with a conversation. The loss is that of the head over its vocabulary.

Answers are generated when the model is judged, and each becomes a row of columns (`stats.answer_metrics`): what other
kinds of tasks have as probabilities.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from headstart.stats.answer_metrics import ANSWER_METRICS, COLUMNS, column
from headstart.tasks.task import TASKS, Label, Prediction, Read, Task, Told

if TYPE_CHECKING:
    from torch import Tensor

    from headstart.stats.metrics import Metric
    from headstart.stats.predictions import Predictions


@TASKS.register("generation")
@dataclass(frozen=True)
class Generation(Task):
    """targets: [n] int64 zeros, because the inputs, which are `Chat`s, hold their answers."""

    reads: ClassVar[tuple[str, ...]] = ("chat",)
    noun: ClassVar[str] = "an answer in words"
    pipeline: ClassVar[str] = "text-generation"
    pooled: ClassVar[bool] = False
    own_head: ClassVar[bool] = True
    methods: ClassVar[tuple[str, ...]] = ("zeroshot", "fewshot", "lora", "full")
    uncertain: ClassVar[str] = "answers in words, which have no probability"

    @classmethod
    def targets_of(cls, label: Label) -> Read:
        return Read((), np.zeros(len(label.codes), dtype=np.int64), np.ones(len(label.codes), dtype=bool))

    @property
    def outputs(self) -> int:
        """Number of columns."""
        return len(COLUMNS)

    def loss(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Cross-entropy summed over the answers' tokens. scores: [S, V]; targets: [S] ids."""
        from torch.nn import functional as F

        return F.cross_entropy(scores.float(), targets, reduction="sum")

    def probabilities(self, scores: Tensor) -> Tensor:
        """The columns as they are."""
        return scores

    def prediction(self, row: Any, given: Any = None) -> Prediction:
        """row: the answer, with its `text`."""
        return Prediction(row.text, {})

    @property
    def metrics(self) -> dict[str, Metric]:
        return ANSWER_METRICS

    def beside(self, main: Metric) -> tuple[Metric, ...]:
        shown = ("exact_match", "tolerant_match", "f1", "stopped", "bits_per_byte")
        return tuple(self.metrics[name] for name in shown if name != main.name)

    def chance_metric(self, metric: Metric) -> Metric:
        """Exact match, of which a constant guess has 0: it abstains."""
        return self.metrics["exact_match"]

    def class_rows(self, runs: Any) -> tuple[Any, ...]:
        return ()

    def losses(self, mean: Predictions) -> tuple[np.ndarray, np.ndarray]:
        """[n] nats a token of the right answer, and [n] True where the answer is not exact."""
        nats = column(mean, "nats") / np.maximum(column(mean, "tokens"), 1)
        return nats, column(mean, "exact") < 0.5

    def kept(self, given: Any, text: str, scores: np.ndarray) -> dict[str, Any]:
        return {
            "prompt": given.prompt, "answer": text, "reference": given.answer, "accept": list(given.accept),
            **dict(zip(COLUMNS, map(float, scores))),
        }  # fmt: skip

    def told(self, mean: Predictions, i: int, given: Any) -> Told:
        return given.answer or "", mean.texts[i] if mean.texts else "", None
