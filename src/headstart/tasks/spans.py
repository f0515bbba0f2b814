"""Spans: extractive question answering. The answer is a piece of the passage, found by scores for its begin and end.

The head gives each token of the passage two scores. Softmax over the whole passage, all of its windows together, makes
them chances to begin and to end the answer; where the data has questions without an answer, one place more stands for
none. Source: Devlin et al. 2019, "BERT: Pre-training of Deep Bidirectional Transformers", sections 4.2 and 4.3.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from headstart.core.errors import DataError
from headstart.core.passage import Passage, Places
from headstart.stats import span_metrics as judged
from headstart.stats.best_spans import best
from headstart.stats.predictions import Predictions
from headstart.stats.squad import exact_match, token_f1
from headstart.tasks.task import TASKS, Label, Prediction, Read, Task, Told

if TYPE_CHECKING:
    from torch import Tensor

    from headstart.data.examples import Examples
    from headstart.stats.metrics import Metric

NO_ANSWER = "no answer"
BEST = 5
"answers of a prediction, the most probable first"


@TASKS.register("spans")
@dataclass(frozen=True)
class Spans(Task):
    """targets: [n, A, 2] int32 first and last sign of each accepted answer (`Passage`); 0, -1 for no answer.

    scores: [n, C, 2] of the signs 0 to C - 1; labels: `no answer` if training has such questions.
    """

    reads: ClassVar[tuple[str, ...]] = ("passage",)
    noun: ClassVar[str] = "an answer from the passage"
    pipeline: ClassVar[str] = "question-answering"
    pooled: ClassVar[bool] = False
    unsolved: ClassVar[str] = (
        "a head is not solved on the states of all tokens of all passages at once, which take too much memory; freeze "
        "with share=1 trains the head alone, by steps"
    )

    @classmethod
    def described(cls, kind: str, labels: Sequence[str]) -> str:
        return f"{kind}, some questions without an answer" if labels else kind

    @classmethod
    def targets_of(cls, label: Label) -> Read:
        """Rows whose passage holds an accepted answer are used, and those whose question has none."""
        rows = [Places.of(json.loads(label.names[code]), text) for code, (_, text) in zip(label.codes, label.inputs())]
        usable = np.array([bool(row.found) or row.unanswerable for row in rows])
        cases = (
            ("malformed", "error", "{rows} whose answer does not stand in the passage, left out", ~usable),
            ("answer_start", "warning", "{rows} whose answer does not stand where its start says: the nearest place in "
             "the passage with the same text was taken", np.array([row.moved for row in rows])),
            ("answer_start", "note", "{rows} whose answer stands at several places of the passage and has no start: "
             "the first was taken", np.array([row.several for row in rows])),
            ("malformed", "warning", "{rows} with an accepted answer that does not stand in the passage, beside one "
             "that does: it does not count", np.array([row.lost and bool(row.found) for row in rows])),
        )  # fmt: skip
        for kind, severity, message, which in cases:
            if which.any():
                label.note(kind, severity, message, which)  # type: ignore[arg-type]
        if not any(row.found for row, trains in zip(rows, label.training) if trains):
            raise DataError(
                f"no training question has an answer in {label.column!r} that stands in its passage, sign for sign."
            )
        without = any(row.unanswerable for row, trains in zip(rows, label.training) if trains)
        if not without and (strange := np.array([row.unanswerable for row in rows])).any():
            message = (
                "{rows} without an answer in the passage where training has no such questions: they count as wrong"
            )
            label.note("unanswerable", "warning", message, strange)
        table = np.full((len(rows), max(1, max(len(row.found) for row in rows)), 2), -1, dtype=np.int32)
        for at, row in enumerate(rows):
            table[at, 0] = (0, -1) if row.unanswerable else (-1, -1)
            if row.found:
                table[at, : len(row.found)] = row.found
        return Read((NO_ANSWER,) if without else (), table, usable)

    @property
    def outputs(self) -> int:
        return 2

    def _open(self, scores: Tensor) -> Tensor:
        """Scores without that of no answer, unless the data has such questions; or nothing else is there."""
        if self.labels:
            return scores
        alone = scores[:, 1:].isneginf().all(1)
        first = scores[:, 0].masked_fill(~alone, -float("inf"))
        return _joined(first, scores)

    def loss(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Cross-entropy of begin and end. scores: [B, C, 2], targets: [B, 2] signs; or rows of places (`by_row`)."""
        from torch.nn import functional as F

        if scores.dim() == 2:
            return _by_example(scores, targets)
        flat = self._open(scores).transpose(1, 2).reshape(-1, scores.shape[1])  # [2 B, C]
        return F.cross_entropy(flat, targets.reshape(-1), reduction="sum", ignore_index=-1)

    def known(self, values: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Passages whose answer begins and ends at tokens; the others' scores of it are -inf."""
        if values.dim() == 2:
            return values, targets
        places = (targets[:, 0] if targets.dim() == 3 else targets).long()
        places = places.masked_fill(places[:, :1] == 0, 0)
        inside = (places >= 0).all(1) & (places < values.shape[1]).all(1)
        values, places = values[inside], places[inside]
        reached = values.gather(1, places[:, None].to(values.device))[:, 0].isfinite().all(1).cpu()
        return values[reached].clamp(min=-1e9), places[reached]

    def probabilities(self, scores: Tensor) -> Tensor:
        """Softmax over the signs; 0 where no token begins or ends."""
        return self._open(scores).softmax(dim=1)

    def count(self, targets: Tensor) -> int:
        return int((targets >= 0).sum())

    def prediction(self, row: np.ndarray, given: Any = None) -> Prediction:
        """row: [C, 2]. given: the passage. The label is the answer, and empty if the passage has none."""
        found: dict[str, float] = {}
        for first, last, chance in best(row, bool(self.labels), BEST):
            found.setdefault(given.piece(first, last), chance)
        answer = next(iter(found))
        return Prediction(answer, found, found[answer])

    def predictions(self, examples: Examples, scores: np.ndarray, texts: tuple[str, ...] | None = None) -> Predictions:
        """Each answer judged by the accepted ones, in `span_metrics.COLUMNS`."""
        answers = []
        columns = np.full((len(examples), len(judged.COLUMNS)), np.nan, dtype=np.float32)
        for at, (given, accepted, row) in enumerate(zip(examples.inputs(), examples.targets, scores)):
            assert isinstance(given, Passage)
            if not np.isfinite(row).all():
                answers.append("")
                continue
            first, last, chance = best(row, bool(self.labels))[0]
            answer, true = given.piece(first, last), [given.piece(a, b) for a, b in accepted if a > 0]
            found = exact_match(answer, true), token_f1(answer, true), float(bool(true))
            answers.append(answer)
            columns[at] = *found, chance, first, last, *accepted[0]
        return Predictions(examples.ids, np.zeros_like(columns), columns, examples.clusters, tuple(answers))

    def kept(self, given: Any, text: str, scores: np.ndarray) -> dict[str, Any]:
        return {"question": given.question, "answer": text, **dict(zip(judged.COLUMNS, map(float, scores)))}

    def joined(self, runs: Sequence[Predictions]) -> Predictions:
        """The first seed's, because the mean of two answers is none."""
        return runs[0]

    @property
    def metrics(self) -> dict[str, Metric]:
        return {one.name: one for one in (*judged.ANSWERS, *(judged.NO_ANSWERS if self.labels else ()))}

    def defines(self, metric: Metric, targets: np.ndarray) -> bool:
        answerable = targets[:, 0, 0] > 0
        held = {"answerable": answerable.any(), "unanswerable": (~answerable).any()}
        return bool(held.get(metric.name.partition("_")[0], True))

    def beside(self, main: Metric) -> tuple[Metric, ...]:
        return tuple(one for one in self.metrics.values() if one.name != main.name)

    def class_rows(self, runs: Sequence[Predictions]) -> tuple[Any, ...]:
        return ()

    def losses(self, mean: Predictions) -> tuple[np.ndarray, np.ndarray]:
        """-log of the probability that another answer had; an answer is wrong if it is not exactly right."""
        scores = mean.scores.astype(np.float64)
        return -np.log(np.clip(1 - scores[:, judged.CONFIDENCE], 1e-12, 1)), scores[:, judged.EXACT] == 0

    def told(self, mean: Predictions, i: int, given: Any) -> Told:
        row = mean.scores[i]
        sides = ((judged.TRUE_FIRST, judged.TRUE_LAST), (judged.FIRST, judged.LAST))
        true, found = (given.piece(int(row[a]), int(row[b])) for a, b in sides)
        return true or NO_ANSWER, found or NO_ANSWER, float(row[judged.CONFIDENCE])


def _joined(first: Tensor, scores: Tensor) -> Tensor:
    """Scores [B, C, 2] with others [B, 2] of the sign 0."""
    import torch

    return torch.cat([first[:, None], scores[:, 1:]], dim=1)


def _by_example(scores: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy over the places of each example. scores: [R, 2]; targets: [R, 3] example, begins, ends."""
    import torch

    owner = targets[:, :1].expand(-1, 2)
    blank = scores.new_zeros(int(targets[:, 0].max()) + 1, 2)
    highest = torch.full_like(blank, -float("inf")).scatter_reduce(0, owner, scores.detach(), "amax")
    total = blank.scatter_add(0, owner, (scores - highest.gather(0, owner)).exp())
    held = targets[:, 1:].bool()
    chances = scores - highest.gather(0, owner) - total.clamp(min=1e-300).log().gather(0, owner)
    return -(chances * held).sum()
