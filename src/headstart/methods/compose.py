"""Two methods as one: `distill+lora` adds losses to a training, `lora+retrieve` puts passages around its inputs."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from torch import nn

from headstart.backbones.backbone import Backbone
from headstart.core.errors import ConfigurationError, MethodError
from headstart.methods.plan import Group, Phase, Plan

if TYPE_CHECKING:
    from headstart.methods.method import Axis, Method

OF_TRAINING = ("groups", "learning_rate", "weight_decay", "schedule")
"fields that every plan sets; in a joint plan they are those of the plan that says what trains"


def compose(losses: Plan, training: Plan) -> Plan:
    """The training of one plan with the losses of another.

    What trains is what `training` trains, except on rungs that `losses` leaves frozen; phases of `losses` hold for all
    groups of their rungs. Any other field comes from the plan that sets it. Raises `MethodError` if both set one, if no
    steps are taken, or if something put at a frozen rung would not train.
    """
    if training.solver or losses.solver:
        raise MethodError("one of them takes no steps, so that there is no loss to add to.")
    plain = Plan(())
    changes: dict[str, Any] = {}
    for field in fields(Plan):
        name = field.name
        ours, theirs, default = (getattr(plan, name) for plan in (losses, training, plain))
        if name in OF_TRAINING or ours == default:
            continue
        if theirs not in (default, ours):
            raise MethodError(f"both set `{name}` in their plans; at most one of two joined methods may.")
        changes[name] = ours
    own = tuple(group for group in losses.groups if group.name in losses.of_modules)
    kept = _unfrozen(training, {group.rung for group in losses.groups})
    if losses.timeline:
        changes["timeline"] = tuple(_phase(phase, losses, (*kept, *own)) for phase in losses.timeline)
    elif training.timeline and own:
        names = tuple(group.name for group in own)
        changes["timeline"] = tuple(replace(phase, groups=(*phase.groups, *names)) for phase in training.timeline)
    return replace(training, groups=(*kept, *own), **changes)


def _unfrozen(training: Plan, rungs: set[int]) -> tuple[Group, ...]:
    """The groups on these rungs. Raises `MethodError` if an edit would lose its group."""
    frozen = [group for group in training.groups if group.rung not in rungs]
    places = tuple(f"{edit.place}." for edit in training.edits)
    if idle := [group.name for group in frozen if any(name.startswith(places) for name in group.parameters)]:
        raise MethodError(
            f"one of them freezes rung {min(group.rung for group in frozen)}, where the other would train "
            f"{', '.join(idle[:3])}; leave no rung frozen."
        )
    return tuple(group for group in training.groups if group not in frozen)


def _phase(phase: Phase, losses: Plan, groups: Sequence[Group]) -> Phase:
    rungs = {
        group.rung for group in losses.groups if group.name in phase.groups and group.name not in losses.of_modules
    }
    mine = [group.name for group in groups if group.name in phase.groups and group.name in losses.of_modules]
    return Phase(phase.start, (*(g.name for g in groups if g.rung in rungs and g.name not in mine), *mine))


@functools.cache
def composed(name: str, first: type[Method], second: type[Method]) -> type[Method]:
    """The class of two methods that are joined, with the settings of both.

    Settings that both have, such as the learning rate, are those of the method that says what trains.
    Raises `ConfigurationError` unless exactly one of them adds losses, or if a setting means something else in each.
    """
    names = dict(zip((first, second), name.split("+")))
    if len(viewing := [one for one in (first, second) if one.views]) == 1:
        (view,) = viewing
        return _viewed(name, second if view is first else first, view, names)
    adding = [one for one in (first, second) if one.adds]
    if len(adding) != 1:
        whose = "both add losses" if adding else "neither adds a loss"
        raise ConfigurationError(
            f"{name}: {whose}. A method that adds a loss, such as distill or contrastive, can be joined with one that "
            "says what trains, such as lora: distill+lora."
        )
    (losses,) = adding
    training = second if losses is first else first
    if training.solved:
        raise ConfigurationError(f"{name}: {names[training]} takes no steps, so {names[losses]} has no loss to add to.")
    shared = {f.name for base in losses.__mro__ if issubclass(training, base) for f in _fields(base)}
    if twice := sorted({f.name for f in _fields(losses)} & {f.name for f in _fields(training)} - shared):
        raise ConfigurationError(f"{name}: both have a setting {twice[0]!r} of another meaning; they can't be joined.")

    def attach(self: Any, backbone: Backbone, head: nn.Module) -> Plan:
        plans = [one.attach(self, backbone, head) for one in (losses, training)]
        try:
            return compose(*plans)
        except MethodError as error:
            raise MethodError(f"{name}: {error}") from error

    def axes(self: Any, backbone: Backbone) -> tuple[Axis, ...]:
        found = {axis.name: axis for one in (losses, training) for axis in one.axes(self, backbone)}
        return tuple(found.values())

    def for_classes(self: Any, labels: Sequence[str]) -> Method:
        return losses.for_classes(training.for_classes(self, labels), labels)

    own = {
        "__module__": __name__, "__doc__": f"{training.__doc__}\n\nJoined with {names[losses]}: {losses.__doc__}",
        "summary": f"{names[training]}, with the losses of {names[losses]}", "adds": False,
        "needs_bias": first.needs_bias or second.needs_bias,
        "attach": attach, "axes": axes, "for_classes": for_classes,
    }  # fmt: skip
    made: type[Method] = dataclass(frozen=True)(type(name, (training, losses), own))
    return made


def _viewed(name: str, training: type[Method], view: type[Method], names: dict[type[Method], str]) -> type[Method]:
    """A training whose inputs stand inside the view of another method, in training as in prediction."""
    if training.solved:
        raise ConfigurationError(f"{name}: {names[training]} takes no steps; {names[view]} alone does the same.")
    if twice := sorted({f.name for f in _fields(view)} & {f.name for f in _fields(training)}):
        raise ConfigurationError(f"{name}: both have a setting {twice[0]!r} of another meaning; they can't be joined.")

    def attach(self: Any, backbone: Backbone, head: nn.Module) -> Plan:
        return replace(training.attach(self, backbone, head), view=view.attach(self, backbone, head).view)

    def axes(self: Any, backbone: Backbone) -> tuple[Axis, ...]:
        return (*training.axes(self, backbone), *view.axes(self, backbone))

    own = {
        "__module__": __name__, "__doc__": f"{training.__doc__}\n\nJoined with {names[view]}: {view.__doc__}",
        "summary": f"{names[training]}, trained and asked with the passages of {names[view]}", "views": False,
        "needs_bias": training.needs_bias, "attach": attach, "axes": axes,
    }  # fmt: skip
    made: type[Method] = dataclass(frozen=True)(type(name, (training, view), own))
    return made


def _fields(kind: Any) -> tuple[Any, ...]:
    return fields(kind) if hasattr(kind, "__dataclass_fields__") else ()
