"""Method: one way of adapting a backbone, as a frozen dataclass whose fields are its settings."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from torch import nn

from headstart.backbones.backbone import Backbone, Reads
from headstart.backbones.vocabulary import VocabularyHead
from headstart.core.errors import ConfigurationError, MethodError
from headstart.core.registry import Registry
from headstart.methods.compose import composed
from headstart.methods.plan import Group, Phase, Plan, Schedule, ScheduleName
from headstart.methods.solver import SolvesItself

if TYPE_CHECKING:
    from headstart.tasks.task import Task

METHODS: Registry[type[Method]] = Registry("method", "headstart.methods")


LABEL = re.compile(r"\w[\w-]{0,39}")
"label after the @ of a method's name; restricted, because it becomes part of file names"


def method_class(name: str) -> type[Method]:
    """The class of a method by name: `lora`, `distill+lora` for two joined methods, `lora@wide` with a label."""
    method, at, label = name.partition("@")
    if at and not LABEL.fullmatch(label):
        raise ConfigurationError(
            f"{name!r}: after the @ comes a label of at most 40 letters, digits, _ and -, which does not begin with -, "
            f"such as {method}@wide."
        )
    first, plus, second = method.partition("+")
    if "+" in second:
        raise ConfigurationError(f"{name!r} joins more than two methods; at most two can be joined.")
    return composed(method, METHODS[first], METHODS[second]) if plus else METHODS[first]  # type: ignore[arg-type]


@dataclass(frozen=True)
class Axis:
    """A field tuned on validation: the search multiplies the default by powers of `factor`, or tries `values`."""

    name: str
    factor: float = 3.0
    values: tuple[Any, ...] = ()

    def neighbours(self, value: Any, finer: int = 0) -> tuple[Any, Any]:
        """The next larger and the next smaller value; each refinement halves the step on a logarithmic scale.

        With `values`, the next and the previous entry of the list; an unlisted number starts at the nearest entry.
        """
        if self.values:
            known = value in self.values
            near = value if known else min(self.values, key=lambda one: abs(one - value))
            place = self.values.index(near)
            return self.values[min(place + 1, len(self.values) - 1)], self.values[max(place - 1, 0)]
        step = self.factor ** (0.5**finer)
        return value * step, value / step


@dataclass(frozen=True)
class Method:
    """A method turns a backbone and a head into a plan; it does not train."""

    control: ClassVar[bool] = False
    "True for a control, which measures the quality without transfer; it is never the reference of a comparison"
    summary: ClassVar[str] = ""
    solved: ClassVar[bool] = True
    "True if the head is solved on frozen features instead of trained by steps; seeds then change nothing"
    apart: ClassVar[bool] = False
    "True if its solved head reads features that no other method shares, which needs a separate pass over the data"
    asks: ClassVar[bool] = False
    "True if each configuration of a solved method reads all examples anew, so that it gets as many trials as others"
    usual: ClassVar[Mapping[str, Any]] = {}
    "where tuning starts for settings that are None unless the user gives them"
    draws: ClassVar[bool] = False
    "True if a solved method depends on the seed, as by the demonstrations that it draws, so that it runs with each"
    combines: ClassVar[bool] = False
    "True if it combines the trained models of the comparison's other methods, and so runs last"
    adds: ClassVar[bool] = False
    "True if it adds losses to a training; it can be joined with a method that says what trains: `distill+lora`"
    views: ClassVar[bool] = False
    "True if it puts passages around inputs; it can be joined with a method that trains: `lora+retrieve`"
    finds: ClassVar[bool] = False
    "True if it looks for passages in the user's documents"
    needs_bias: ClassVar[bool] = False
    "True if the head needs biases even if the library's classifier for the architecture has none"

    @property
    def head_reads(self) -> Reads:
        """Features that the head reads: `top` or `all`."""
        return "top"

    def for_classes(self, labels: Sequence[str]) -> Method:
        """This method, adjusted to the classes of the task; `labels` is empty for regression."""
        return self

    def head(self, backbone: Backbone, outputs: int, bias: bool) -> nn.Module:
        """A new head on the features of `head_reads`: linear by default."""
        return nn.Linear(backbone.width(self.head_reads), outputs, bias=bias)

    def attach(self, backbone: Backbone, head: nn.Module) -> Plan:
        """The plan. Raises `MethodError` if the backbone lacks a part that the method needs."""
        raise MethodError(f"{type(self).__name__} does not define attach")

    def axes(self, backbone: Backbone) -> tuple[Axis, ...]:
        """Fields tuned on validation, most important first."""
        return ()


@dataclass(frozen=True)
class ClosedForm(Method):
    """Base class of methods with a linear head that solves itself from the means of classes."""

    needs_bias: ClassVar[bool] = True

    reads: Reads | None = None
    "features that the head reads: top, or all for those of every rung side by side; default: chosen on validation"

    @property
    def head_reads(self) -> Reads:
        return self.reads or "top"

    def attach(self, backbone: Backbone, head: nn.Module) -> Plan:
        return Plan(groups=(head_group(backbone, head),), solver=SolvesItself(), reads=self.head_reads)

    def axes(self, backbone: Backbone) -> tuple[Axis, ...]:
        return (Axis("reads", values=("top", "all")),)


@dataclass(frozen=True)
class GradientMethod(Method):
    """Base class of methods that train by gradients, with their common fields."""

    solved: ClassVar[bool] = False

    learning_rate: float | None = None
    "peak learning rate of AdamW, where tuning starts; default: by method and kind of backbone"
    weight_decay: float = 0.01
    "decoupled weight decay of AdamW"
    schedule: ScheduleName = "linear"
    "learning-rate schedule: constant, linear, cosine, one_cycle or slanted_triangular"
    warmup: float = 0.1
    "warmup: share of the steps in which the learning rate rises"
    ratio: float = 32.0
    "ratio of the peak to the lowest learning rate, for slanted_triangular and one_cycle"

    base_rate: ClassVar[float] = 1e-4
    "default peak learning rate for transformers"
    conv_rate: ClassVar[float] = 1e-3
    "default peak learning rate for other networks, whose updates are smaller relative to their weights"

    def rate(self, backbone: Backbone) -> float:
        if self.learning_rate is not None:
            return self.learning_rate
        return self.conv_rate if backbone.kind in ("cnn", "module", "recurrent") else self.base_rate

    def plan(self, backbone: Backbone, groups: tuple[Group, ...], **more: Any) -> Plan:
        """The plan that trains these groups with this method's learning rate, decay and schedule."""
        return Plan(
            groups=groups,
            learning_rate=self.rate(backbone),
            weight_decay=self.weight_decay,
            schedule=Schedule(self.schedule, self.warmup, self.ratio),
            **more,
        )

    def axes(self, backbone: Backbone) -> tuple[Axis, ...]:
        return (Axis("learning_rate"),)


def head_for(method: Method, backbone: Backbone, task: Task, bias: bool) -> nn.Module:
    """The method's new head, or the model's own over its vocabulary where the task is answered by that."""
    return VocabularyHead(backbone) if task.own_head else method.head(backbone, task.outputs, bias)


def head_group(backbone: Backbone, head: nn.Module, scale: float = 1.0) -> Group:
    names = tuple(f"head.{name}" for name, _ in head.named_parameters())
    return Group("head", names, rung=len(backbone.ladder), scale=scale)


def rung_groups(
    backbone: Backbone, lowest: int = 0, factor: float = 1.0, only: Collection[str] | None = None
) -> tuple[Group, ...]:
    """Layer-wise learning-rate decay: one group per rung from `lowest` up, its rate divided by `factor` per rung.

    `lr_l = lr_head / factor^(n - l)` for rung l of n (ULMFiT, Howard & Ruder 2018, section 3.2: factor 2.6).
    only: names of the backbone's trained parameters; None means all.
    """
    n, groups = len(backbone.ladder), []
    for index, rung in enumerate(backbone.ladder.rungs):
        names = tuple(f"backbone.{p}" for p in rung.parameters if only is None or p in only)
        if index >= lowest and names:
            groups.append(Group(rung.name, names, rung=index, scale=factor ** (index - n)))
    return tuple(groups)


def settled(method: Method, backbone: Backbone) -> Method:
    """The method with its defaults filled in: the starting learning rate and the features that the head reads."""
    rate = getattr(method, "rate", None)
    if getattr(method, "reads", "") is None:
        method = replace(method, reads=method.head_reads)  # type: ignore[call-arg]
    method = replace(method, **{name: value for name, value in method.usual.items() if getattr(method, name) is None})
    return replace(method, learning_rate=rate(backbone)) if rate else method  # type: ignore[call-arg]


def gradual(groups: tuple[Group, ...], share: float, stages: int) -> tuple[Phase, ...]:
    """Gradual unfreezing: phases that train the head alone, then more rungs from the top, and all from `share` on.

    stages: number of phases, at least two; each unfreezes an equal part of the rungs.
    """
    rungs = sorted((g for g in groups if g.name != "head"), key=lambda g: -g.rung)
    headed = any(g.parameters for g in groups if g.name == "head")
    stages = max(2, min(stages, len(rungs) + 1))
    phases = []
    for stage in range(stages):
        # the model's own head has no parameters, so that the highest rung begins
        free = max(math.ceil(len(rungs) * stage / (stages - 1)), 0 if headed else 1)
        phases.append(Phase(share * stage / (stages - 1), ("head", *(g.name for g in rungs[:free]))))
    return tuple(phases)
