"""Selection of methods and their settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from headstart.backbones.backbone import Backbone
from headstart.backbones.vocabulary import layer_of
from headstart.core.errors import ConfigurationError, HeadstartError, MethodError, unknown
from headstart.core.fields import configured
from headstart.data.examples import Data
from headstart.engine.state.surroundings import own_generators
from headstart.engine.viewed import NO_DOCUMENTS
from headstart.methods.method import METHODS, Method, head_for, method_class
from headstart.tasks.task import Task

DEFAULT_METHODS = (
    "probe", "freeze", "full", "unfreeze", "lora", "ulmfit", "discriminative", "lpft", "scratch", "random",
    "majority",
)  # fmt: skip
"the usual methods, by the order in which an undecided race continues: best for their time first"
PROMPTED = ("zeroshot", "fewshot")
"methods that are usual too where the backbone and the task have what they need: words for the classes"
WITH_DOCUMENTS = ("zeroshot", "fewshot", "retrieve", "gold_passage", "lora", "lora+retrieve")
"usual methods where questions are answered with the user's documents"


def methods_named(names: Sequence[str], settings: Mapping[str, Any]) -> dict[str, Method]:
    """Methods with settings such as `{"lora.rank": 16}`, or `{"rank": 16}` for all methods with this field.

    A name may have a label of the user, so that a method takes part several times: `lora`, `lora@wide` with
    `{"lora@wide.rank": 64}`. The name `all` means every method.
    """
    if not names:
        raise ConfigurationError(f"no method was named. Allowed: {', '.join(METHODS.names())}.")
    if list(names) == ["all"]:
        names = METHODS.names()
    if repeated := sorted({n for n in names if list(names).count(n) > 1}):
        raise ConfigurationError(f"method {repeated[0]!r} is named twice.")
    own: dict[str, dict[str, Any]] = {name: {} for name in names}
    for key, value in settings.items():
        method, _, setting = key.rpartition(".")
        if method:
            if method not in own:
                method_class(method)  # reported as an unknown name
                raise ConfigurationError(
                    f"setting {key!r} is for a method that does not run; it runs {', '.join(names)}."
                )
            own[method][setting] = value
            continue
        having = [n for n in names if setting in {f.name for f in fields(method_class(n))}]
        if not having:
            raise unknown(
                f"setting of {', '.join(names)}:", setting, {f.name for n in names for f in fields(method_class(n))}
            )
        for name in having:
            own[name].setdefault(setting, value)
    return {name: configured(method_class(name), own[name], name) for name in names}


def fitting(methods: Mapping[str, Method], backbone: Backbone, task: Task) -> dict[str, Method]:
    """The methods without prompted ones that don't fit; one with settings of the user stays, and says why."""

    def fits(method: Method) -> bool:
        try:
            method.attach(backbone, head_for(method, backbone, task, bias=True)).check(task)
        except MethodError:
            return False
        return True

    return {
        name: method for name, method in methods.items()
        if name not in PROMPTED or method != method_class(name)() or fits(method)
    }  # fmt: skip


def usual_of(data: Data) -> tuple[str, ...]:
    """The usual methods of tasks that have their own, by what the data bring; empty for those of all others."""
    if data.documents is None or not data.task.own_head:
        return data.task.methods
    gold = data.record.columns.get("passage") is not None
    return tuple(name for name in WITH_DOCUMENTS if gold or name != "gold_passage")


def check_documents(methods: Mapping[str, Method], data: Data) -> None:
    """Raises `MethodError` if a method looks for passages and there are no documents."""
    if data.documents is None and (finding := [name for name, method in methods.items() if method.finds]):
        raise MethodError(f"{finding[0]}: {NO_DOCUMENTS}")


def same_modality(data: Data, backbone: Backbone) -> None:
    given = data.task.input
    if given.read_by != backbone.modality:
        raise ConfigurationError(
            f"the data are {given.plural}, but {backbone.source} reads {backbone.modality}s; choose another --model."
        )
    if data.task.own_head:
        layer_of(backbone)  # raises


@own_generators()
def check_methods(methods: Mapping[str, Method], backbone: Backbone, task: Task) -> None:
    """Raises `MethodError` if a method with settings of the user does not fit backbone and task, or if none does.

    A default method that does not fit, or whose code fails, is reported in the record instead.
    """
    reasons = {}
    for name, method in methods.items():
        try:
            method.attach(backbone, head_for(method, backbone, task, bias=True)).check(task)
        except MethodError as error:
            if method != method_class(name)():
                raise
            reasons[name] = str(error)
        except HeadstartError:
            raise
        except Exception as error:
            reasons[name] = f"{name}: {type(error).__name__}: {error}"
    if len(reasons) == len(methods):
        raise MethodError("; ".join(reasons.values()))
