"""Generation: the model goes on with a conversation. The loss is that of its own head over the vocabulary."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from headstart.tasks.task import TASKS, Label, Read, Task


@TASKS.register("generation")
@dataclass(frozen=True)
class Generation(Task):
    """targets: [n] int64 zeros, because the inputs, which are `Chat`s, hold their answers."""

    reads: ClassVar[tuple[str, ...]] = ("chat",)
    noun: ClassVar[str] = "an answer in words"
    pipeline: ClassVar[str] = "text-generation"
    pooled: ClassVar[bool] = False

    @classmethod
    def targets_of(cls, label: Label) -> Read:
        return Read((), np.zeros(len(label.codes), dtype=np.int64), np.ones(len(label.codes), dtype=bool))
