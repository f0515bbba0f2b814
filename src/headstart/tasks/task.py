"""What is to be predicted, from what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from headstart.core.records.record import Record
from headstart.data.images.decoding import ALONE, Decoding

Kind = Literal["single_label", "multi_label", "regression"]
Modality = Literal["text", "text_pair", "image"]


@dataclass(frozen=True)
class Task(Record):
    """Kind of target, kind of input, and the class names in the order of the scores.

    The number of scores a model gives is the number of labels, or 1 for regression.
    """

    kind: Kind
    modality: Modality
    labels: tuple[str, ...] = ()
    class_weights: tuple[float, ...] = ()
    "loss weight a class, on request, mean 1 over the training examples; empty: all 1"
    images: Decoding = ALONE
    "how pictures with more than 8 bits or with transparent pixels are read"

    @property
    def outputs(self) -> int:
        return 1 if self.kind == "regression" else len(self.labels)
