"""An adapter in memory: its artifact and its tensors, and its place in the slots of its backbone."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from headstart.artifacts.artifact import fill, kept_tensors, planned
from headstart.backbones.backbone import Backbone
from headstart.backbones.ladder.upper import left_out
from headstart.core.errors import ArtifactError
from headstart.methods.method import Method
from headstart.methods.plan import Plan, restoring
from headstart.methods.slots import Slots
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


def plan_of(backbone: Backbone, entry: Entry) -> Plan:
    return planned(backbone, entry.method, entry.task, entry.head_bias, entry.weights)[1]


class Placed:
    """An adapter with its own head, whose parts lie in the slots of the backbone.

    Raises `ArtifactError` if a tensor is missing, unexpected or does not fit; the slots are then as before.
    """

    def __init__(self, name: str, entry: Entry, backbone: Backbone, slots: Slots) -> None:
        self.name, self.slots = name, slots
        base = {f"backbone.{key}": value for key, value in backbone.module.state_dict().items()}
        # because statistics of norms are saved even if they are the base's
        self.changed = {
            key: value
            for key, value in entry.weights.items()
            if key in base and not (value.shape == base[key].shape and torch.equal(value, base[key].cpu()))
        }
        "weights of the base that it replaces"
        with torch.random.fork_rng(devices=[]):
            self.model, self.plan = planned(backbone, entry.method, entry.task, entry.head_bias, entry.weights)
            if self.plan.view is not None:
                raise ArtifactError(f"{name!r} is a prompt, not an adapter; `headstart predict` answers with it.")
            slots.put(name, self.plan.edits)
        try:
            with left_out(self.model, self.plan.dropped), slots.using(name), restoring(self.model, self.changed):
                fill(self.model, entry.weights, {*entry.tensors, *kept_tensors(self.model, self.plan, backbone)})
        except BaseException:
            slots.take(name)
            raise
        self.parts = slots.parts(name)
        for part in (*self.parts, self.head):
            part.requires_grad_(False)
        self.head.eval()
        self.to(next(backbone.module.parameters()).device)

    @property
    def head(self) -> nn.Module:
        return self.model.head

    @property
    def mixable(self) -> bool:
        """True if its rows can share a batch with those of others: all it does is row-wise, and its head reads the top.

        Whole weights that it changes are the same for all rows, so that they can't be shared.
        """
        own = self.changed or self.plan.dropped or not self.parts
        return self.plan.reads == "top" and not own and all(part.row_wise for part in self.parts)

    @contextlib.contextmanager
    def acting(self) -> Iterator[None]:
        """Inside the context it acts on all rows; only whole weights that it changes are copied and restored."""
        with left_out(self.model, self.plan.dropped), restoring(self.model, self.changed), self.slots.using(self.name):
            if self.changed:
                state = self.model.state_dict(keep_vars=True)
                with torch.no_grad():
                    for key, value in self.changed.items():
                        state[key].copy_(value)
            yield

    def to(self, device: torch.device) -> None:
        self.device = device
        for part in (*self.parts, self.head):
            part.to(device)
