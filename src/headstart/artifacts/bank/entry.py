"""One adapter in memory: what it was, and its tensors."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from headstart.methods.method import Method
from headstart.tasks.task import Task


@dataclass(frozen=True)
class Entry:
    task: Task
    method: Method
    head_bias: bool
    weights: dict[str, Tensor]
    "by names of the model's: head, trained parameters, statistics"
    tensors: tuple[str, ...]
    "the names that there have to be"
