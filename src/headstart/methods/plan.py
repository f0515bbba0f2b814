"""Plan: what a method does to a model, as data. The engine reads plans; it knows no method."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import nn

from headstart.backbones.backbone import Reads
from headstart.core.errors import MethodError


class Model(nn.Module):
    """A backbone's network with a head on its pooled features; names in plans are relative to this module."""

    def __init__(self, backbone: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head


@dataclass(frozen=True)
class Edit:
    """Puts `build(module at path)` in the place of the module at `path`."""

    path: str
    build: Callable[[nn.Module], nn.Module]


@dataclass(frozen=True)
class Group:
    """Parameters that train together at `scale` times the plan's learning rate.

    rung: the lowest rung that they touch; the number of rungs for the head.
    """

    name: str
    parameters: tuple[str, ...]
    rung: int
    scale: float = 1.0


@dataclass(frozen=True)
class Phase:
    """From the fraction `start` of all steps on, the groups named here train and no others."""

    start: float
    groups: tuple[str, ...]


ScheduleName = Literal["constant", "linear", "cosine", "one_cycle", "slanted_triangular", "exponential"]


@dataclass(frozen=True)
class Schedule:
    """The learning rate over the steps, as a factor of its peak; the formulas stand in `engine/schedules.py`.

    warmup: share of the steps in which the rate rises (the `cut` of the slanted triangle).
    ratio: peak over lowest rate (slanted triangular, one-cycle), or last over first (exponential).
    """

    name: ScheduleName = "linear"
    warmup: float = 0.1
    ratio: float = 32.0


@dataclass(frozen=True)
class Plan:
    """What trains, how and when. Making a plan changes nothing; `applied` does, for as long as its context lasts.

    reads: what the head gets, the pooled features at the top or those of all rungs.
    solver: `gradient` for the training loop, `convex` for a head solved to convergence on frozen features,
        `prior` for the majority class.
    head_start: where the head begins: at random, or solved like the probe's (LP-FT).
    fresh: the backbone begins with random weights (the control `scratch`).
    penalty: strength of the L2 penalty of the convex head, on standardised features.
    """

    groups: tuple[Group, ...]
    learning_rate: float = 0.0
    weight_decay: float = 0.01
    edits: tuple[Edit, ...] = ()
    timeline: tuple[Phase, ...] = ()
    schedule: Schedule = field(default_factory=Schedule)
    reads: Reads = "top"
    solver: Literal["gradient", "convex", "prior"] = "gradient"
    head_start: Literal["random", "convex"] = "random"
    penalty: float = 1.0
    fresh: bool = False

    def active(self, fraction: float) -> tuple[Group, ...]:
        """The groups that train at this fraction of the steps."""
        phase = None
        for candidate in self.timeline:
            if candidate.start <= fraction + 1e-9:
                phase = candidate
        return self.groups if phase is None else tuple(g for g in self.groups if g.name in phase.groups)

    def cut(self, fraction: float) -> int:
        """The lowest rung touched up to this fraction: below it, activations are still those of the base."""
        starts = [p.start for p in self.timeline if p.start <= fraction + 1e-9] or [fraction]
        return min(group.rung for start in starts for group in self.active(start)) if not self.fresh else 0

    def trained(self) -> tuple[str, ...]:
        """Names of all parameters that train at some time."""
        return tuple(name for group in self.groups for name in group.parameters)

    @contextlib.contextmanager
    def applied(self, model: Model, reinitialise: Callable[[nn.Module], None] | None = None) -> Iterator[Model]:
        """The model with the edits in place and only this plan's parameters requiring gradients.

        On exit the base is bit-identical to what it was: edits are taken out, and every parameter and buffer that
        could have changed is put back from a copy.
        """
        flags = {name: p.requires_grad for name, p in model.named_parameters()}
        modes = {name: m.training for name, m in model.named_modules()}
        originals: dict[str, nn.Module] = {}
        trained = set(self.trained())
        kept = {
            name: value.detach().clone()
            for name, value in [*model.named_parameters(), *model.named_buffers()]
            if self.fresh or name in trained or name not in flags
        }
        try:
            if self.fresh:
                if reinitialise is None:
                    raise MethodError("this backbone's loader can't give it random weights, so `scratch` can't run")
                reinitialise(model.backbone)
            for edit in self.edits:
                originals[edit.path] = model.get_submodule(edit.path)
                _place(model, edit.path, edit.build(originals[edit.path]))
            parameters = dict(model.named_parameters())
            if missing := sorted(trained - set(parameters)):
                raise MethodError(f"the plan trains parameters that do not exist: {', '.join(missing[:5])}")
            for name, parameter in parameters.items():
                parameter.requires_grad_(name in trained)
            yield model
        finally:
            for path in reversed(originals):
                _place(model, path, originals[path])
            with torch.no_grad():
                for name, value in [*model.named_parameters(), *model.named_buffers()]:
                    if name in kept:
                        value.copy_(kept[name])
            for name, parameter in model.named_parameters():
                parameter.requires_grad_(flags[name])
                parameter.grad = None
            for name, module in model.named_modules():
                module.training = modes[name]


def _place(model: nn.Module, path: str, module: nn.Module) -> None:
    parent, _, name = path.rpartition(".")
    setattr(model.get_submodule(parent), name, module)
