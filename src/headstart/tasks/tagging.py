"""Tagging: a label for each word, such as parts of speech or named entities. Cross-entropy over the words.

Texts come in words (`core/words.py`). A word's state is that of its first sub-word; words that the model does not see,
since the text is longer than it reads, have no tag. Entities are judged by spans, and every statistic is a sum over
sentences.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from headstart.core.errors import DataError
from headstart.core.words import Words
from headstart.stats.predictions import Predictions
from headstart.stats.spans import Scheme
from headstart.stats.tag_metrics import metrics_of, tag_confusion, tag_rows, tags_of
from headstart.tasks.task import TASKS, Label, Prediction, Read, Task, Told

if TYPE_CHECKING:
    from torch import Tensor

    from headstart.stats.metrics import Metric

OUTSIDE = "O"
"the tag of a word that is in no entity"
MOST_TAGS = 32_767
"maximum number of different tags, as 16 bits hold them"


@TASKS.register("tagging")
@dataclass(frozen=True)
class Tagging(Task):
    """targets: [n, L] int16 tags of at most L words, -1 behind the last."""

    reads: ClassVar[tuple[str, ...]] = ("text_words",)
    noun: ClassVar[str] = "a tag for each word"
    pipeline: ClassVar[str] = "token-classification"
    pooled: ClassVar[bool] = False

    @classmethod
    def targets_of(cls, label: Label) -> Read:
        """Rows with as many tags as words are used. Raises `DataError` where training has no two tags."""
        lists = list(map(_listed, label.names))
        words = np.array([len(Words(text).each) for text in label.inputs()], dtype=np.int64)
        sizes = np.array([len(tags) for tags in lists], dtype=np.int64)[label.codes]
        usable = sizes == words
        if (~usable).any():
            label.note("malformed", "error", "{rows} with other than one tag a word, left out", ~usable)
        seen = {tag for code in np.unique(label.codes[label.training & usable]) for tag in lists[code]}
        if len(seen) < 2:
            raise DataError(
                f"the column {label.column!r} has fewer than two tags in training ({', '.join(seen) or 'none'}). "
                "Tagging needs a list of words and a list of as many tags in each row."
            )
        labels = tuple(tag for tag in label.order if tag in seen) or tuple(
            sorted(seen, key=lambda t: (t != OUTSIDE, t))
        )
        if len(labels) > MOST_TAGS:
            raise DataError(
                f"the column {label.column!r} has {len(labels):,} different tags; at most {MOST_TAGS:,} are read. Does "
                "it hold words? Name the column of tags with --label."
            )
        place = {tag: at for at, tag in enumerate(labels)}
        known = np.array([all(tag in place for tag in tags) for tags in lists])[label.codes]
        if (strange := usable & ~known).any():
            names = sorted({tag for code in np.unique(label.codes[strange]) for tag in lists[code]} - set(labels))
            told = ", ".join(map(repr, names[:5]))
            label.note("unknown_label", "error", f"{{rows}} with tags that training lacks ({told}), left out", strange)
        usable &= known
        table = np.full((len(lists), int(sizes[usable].max(initial=1))), -1, dtype=np.int16)
        for row, tags in enumerate(lists):
            if len(tags) <= table.shape[1]:
                table[row, : len(tags)] = [place.get(tag, -1) for tag in tags]
        return Read(labels, table[label.codes], usable)

    @property
    def scheme(self) -> Scheme | None:
        return Scheme.of(self.labels)

    def loss(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Cross-entropy summed over words. scores: [B, W, C], targets: [B, L ≥ W]; or rows of single words."""
        from torch.nn import functional as F

        if targets.dim() == 2:
            targets = targets[:, : scores.shape[1]]
        weights = scores.new_tensor(self.class_weights) if self.class_weights else None
        flat = scores.reshape(-1, scores.shape[-1])
        return F.cross_entropy(flat, targets.reshape(-1).long(), weight=weights, reduction="sum", ignore_index=-1)

    def known(self, values: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        if targets.dim() == 2:
            targets = targets[:, : values.shape[1]]
        seen = targets >= 0
        if values.dim() > targets.dim():
            seen = seen.to(values.device) & ~values.isneginf().all(-1)  # words that the model did not see
        return values[seen], targets[seen].long()

    def probabilities(self, scores: Tensor) -> Tensor:
        """Softmax; 0 for a word that was not seen, whose scores are all -inf."""
        return scores.softmax(dim=-1).masked_fill(scores.isneginf().all(-1, keepdim=True), 0.0)

    def prior(self, targets: Tensor) -> Tensor:
        counts = targets.long().bincount(minlength=self.outputs).double()
        return (counts.clamp(min=1e-3) / counts.sum()).log()

    def count(self, targets: Tensor) -> int:
        return int((targets >= 0).sum())

    def prediction(self, row: np.ndarray, given: Any = None) -> Prediction:
        """row: [L, C]. given: the sentence, which says how many of the rows are words."""
        count = len(row) if given is None else len(Words(given).each)
        seen = row[:count].any(-1)
        tags = self._named(np.where(seen, row[:count].argmax(-1), -1))
        least = float(row[:count].max(-1)[seen].min()) if seen.any() else None
        return Prediction(" ".join(tags), {}, least, tuple(tags))

    def _named(self, tags: np.ndarray) -> list[str]:
        """A word that was not seen is outside of everything, or has no name."""
        unseen = OUTSIDE if OUTSIDE in self.labels else "?"
        return [self.labels[tag] if tag >= 0 else unseen for tag in tags.tolist()]

    @property
    def metrics(self) -> dict[str, Metric]:
        return metrics_of(self.labels)

    def beside(self, main: Metric) -> tuple[Metric, ...]:
        """Accuracy by words beside entity F1."""
        return (self.metrics["accuracy"],) if self.scheme and main.name != "accuracy" else ()

    def chance_metric(self, metric: Metric) -> Metric:
        """Entity F1 stays: a constant answer finds no entity, and one at random next to none."""
        return self.metrics["accuracy"] if metric.name == "macro_f1" and not self.scheme else metric

    def confusion(self, runs: Sequence[Predictions]) -> tuple[tuple[int, ...], ...]:
        return tag_confusion(runs, self.labels)

    def class_rows(self, runs: Sequence[Predictions]) -> tuple[Any, ...]:
        return tag_rows(runs, self.labels)

    def losses(self, mean: Predictions) -> tuple[np.ndarray, np.ndarray]:
        sums = self.metrics["log_loss"].rows(mean)
        right = (tags_of(mean) == mean.targets) | (mean.targets < 0)
        return sums[:, 0] / np.maximum(sums[:, 1], 1), ~right.all(1)

    def told(self, mean: Predictions, i: int, given: Any) -> Told:
        """The words whose tag is wrong, with their tags."""
        words, true, found = Words(given).each, mean.targets[i], tags_of(mean)[i]
        wrong = [at for at in range(len(words)) if true[at] != found[at]]
        sides = [
            " ".join(f"{words[at]}/{tag}" for at, tag in zip(wrong, self._named(side[wrong]))) for side in (true, found)
        ]
        return sides[0], sides[1], None


def _listed(cell: str) -> list[str]:
    """The tags of a cell, which is a list as JSON; any other text is one tag."""
    try:
        found = json.loads(cell)
    except ValueError:
        return [cell]
    return list(map(str, found)) if isinstance(found, list) else [cell]
