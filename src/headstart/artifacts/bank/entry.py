"""An adapter in memory: its artifact and its tensors."""

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
    "tensors by their names in the model: head, trained parameters, statistics"
    tensors: tuple[str, ...]
    "required names of tensors"
