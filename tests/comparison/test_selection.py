"""Which methods run, under which names and settings."""

from __future__ import annotations

import pytest

from headstart.comparison.selection import methods_named
from headstart.core.errors import ConfigurationError
from headstart.methods.method import METHODS, method_class


def test_one_method_takes_part_under_several_labels() -> None:
    found = methods_named(["lora", "lora@wide", "lora@plain"], {"lora@wide.rank": 64, "lora.rank": "4", "dropout": 0.1})
    assert {name: method.rank for name, method in found.items()} == {"lora": 4, "lora@wide": 64, "lora@plain": 8}
    assert {method.dropout for method in found.values()} == {0.1}
    assert all(type(method) is METHODS["lora"] for method in found.values())
    assert method_class("lora@wide") is METHODS["lora"]


def test_all_means_every_method() -> None:
    assert list(methods_named(["all"], {})) == METHODS.names()


@pytest.mark.parametrize(
    ("names", "settings", "says"),
    [
        (["lora@a", "lora@a"], {}, "named twice"),
        (["lorra@a"], {}, "lora"),
        (["lora@a"], {"lora.rank": 3}, "does not run"),
        (["lora@a"], {"rnak": 3}, "rank"),
        *(
            (["lora@" + label], {}, "after the @ comes a label")
            for label in ("../../esc", "a/b", "", "-a", "a.b", "a" * 41)
        ),
    ],
)
def test_mistakes_are_told(names: list[str], settings: dict[str, object], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        methods_named(names, settings)
