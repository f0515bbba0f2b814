"""Signatures: a checkpoint is taken up by the job that wrote it alone, whatever one of its settings changes."""

from __future__ import annotations

import dataclasses
import typing
from typing import Any

import pytest

from backbones.tiny import tiny
from headstart.core.errors import MethodError
from headstart.engine.adapt import Setting, attached
from headstart.engine.feed.augment import Augment
from headstart.engine.feed.feed import Feed
from headstart.methods.method import METHODS, Method

from .settings import made, setting_of, targets_of

BACKBONES = ("bert", "timm_vit", "timm_resnet")
"of which each method is tried on the first that it fits"
VALUES: dict[str, Any] = {
    "words": ("a {}", "one {}"), "targets": ("all",), "ranks": ("*=3",), "text": "good film", "start": None,
    "weights": (0.0, 0.5),
}  # fmt: skip
"other values of settings whose type does not tell one"


def other(method: Method, field: dataclasses.Field[Any]) -> Any:
    """Another value of a setting: the next of its choices, or half of a number and a little."""
    value, hint = getattr(method, field.name), typing.get_type_hints(type(method))[field.name]
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, float):
        return value / 2 + 0.01
    choices = [arm for arm in (hint, *typing.get_args(hint)) if typing.get_origin(arm) is typing.Literal]
    if choices:
        return next(choice for choice in typing.get_args(choices[0]) if choice != value)
    if field.name in VALUES:
        return VALUES[field.name]
    if value is None:
        return 3 if int in typing.get_args(hint) else 0.123
    return (*value, value[0] / 2) if isinstance(value, tuple) and value else ("other",)


def signature(setting: Setting, method: Method, seed: int = 0) -> str:
    with attached(setting, method, seed) as job:
        return job.signature


@pytest.fixture(scope="module")
def settings() -> list[Setting]:
    return [setting_of(tiny(family)) for family in BACKBONES]


@pytest.mark.parametrize("name", METHODS)
def test_every_setting_of_a_method_changes_the_signature(name: str, settings: list[Setting]) -> None:
    method = METHODS[name]()
    seen: dict[str, str] = {}
    for setting in settings:
        try:
            seen["as it is"] = signature(setting, method)
        except MethodError:
            continue
        break
    else:
        pytest.skip("needs a tower for texts, or other methods")
    assert signature(setting, METHODS[name]()) == seen["as it is"]
    for field in dataclasses.fields(method):
        changed = dataclasses.replace(method, **{field.name: other(method, field)})
        try:
            seen[field.name] = signature(setting, changed)
        except MethodError:  # this value does not fit this backbone: there is no job
            continue
    assert len(set(seen.values())) == len(seen), seen


def test_what_is_learned_from_and_how_changes_the_signature() -> None:
    backbone = tiny("bert")
    base, method = setting_of(backbone), METHODS["lora"]()
    examples = base.train.examples
    texts = made(backbone, "single_label", 24, 7, 0)  # other texts under the same ids and targets
    assert texts.ids.tolist() == examples.ids.tolist()
    turned = type(examples)(examples.table, examples.rows, examples.ids, targets_of("single_label", 24, 9))
    held = Feed("validation", made(backbone, "single_label", 9, 8, 24), backbone)
    seen = {
        "as it is": signature(base, method),
        "seed": signature(base, method, 1),
        "texts": signature(dataclasses.replace(base, train=Feed("train", texts, backbone)), method),
        "targets": signature(dataclasses.replace(base, train=Feed("train", turned, backbone)), method),
        "validation": signature(dataclasses.replace(base, validation=held), method),
        "epochs": signature(setting_of(backbone, epochs=5), method),
        "word dropout": signature(setting_of(backbone, augment=Augment(word_dropout=0.2)), method),
        "method": signature(base, METHODS["full"]()),
    }
    assert len(set(seen.values())) == len(seen), seen
    assert signature(setting_of(backbone), method) == seen["as it is"]
