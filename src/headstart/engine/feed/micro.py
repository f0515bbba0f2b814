"""Micro-batch: the examples that go through the model at once, as a part of a step."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from torch import Tensor

from headstart.backbones.backbone import Batch
from headstart.backbones.inputs import answer_marks
from headstart.backbones.inputs.windows import MARKS


@dataclass(frozen=True)
class Micro:
    """A batch that goes through the model at once, after its feed has `moved` it.

    positions: places in the feed; step: examples of the whole step, or words if each has a target.
    """

    positions: np.ndarray
    batch: Batch
    targets: Tensor
    step: int
    source: int = 0
    "number of the source, if a job has several"
    whole: bool = False
    "True if the loss is of all examples together, so that the batch stays one part of its step"
    pieces: int = 1
    "number of pieces in which such a batch goes through the model"
    streams: Mapping[str, Micro] = field(default_factory=dict)
    "by name, as many examples of each of the plan's further streams"

    def split(self, parts: int) -> list[Micro]:
        """At most this many parts of similar size, each padded to its longest example."""
        if self.whole:
            return [replace(self, pieces=self.pieces * parts)]
        return self.cut(parts)

    def cut(self, parts: int) -> list[Micro]:
        if parts == 1:
            return [self]
        bounds = np.linspace(0, len(self.positions), min(parts, len(self.positions)) + 1).round().astype(int)
        pieces, along = [], {name: micro.cut(parts) for name, micro in self.streams.items()}
        for number, (a, b) in enumerate(itertools.pairwise(bounds)):
            rows = {name: one for name, one in self.batch.items() if name not in answer_marks.MARKS}
            batch = {name: _rows(one, a, b, len(self.positions)) for name, one in rows.items()}
            if "attention_mask" in batch:
                width = int(batch["attention_mask"].sum(1).max())
                batch = {k: v[:, :width] if v.dim() > 1 and k not in MARKS else v for k, v in batch.items()}
                batch |= answer_marks.of_rows(self.batch, a, b, width)
            targets = batch.get(answer_marks.ANSWER_IDS, self.targets[a:b])
            streams = {name: cut[number] for name, cut in along.items()}
            pieces.append(replace(self, positions=self.positions[a:b], targets=targets, batch=batch, streams=streams))
        return pieces


def _rows(value: Tensor, first: int, last: int, examples: int) -> Tensor:
    """The rows of these examples: one each, or as many as a passage has windows."""
    each = len(value) // examples
    return value[first * each : last * each]
