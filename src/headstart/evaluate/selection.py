"""Which methods run, and with which settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from headstart.core.errors import ConfigurationError
from headstart.core.fields import configured
from headstart.methods.method import METHODS, Method

DEFAULT_METHODS = (
    "probe", "full", "freeze", "unfreeze", "discriminative", "ulmfit", "lpft", "lora", "scratch", "majority",
)  # fmt: skip


def methods_named(names: Sequence[str], settings: Mapping[str, Any]) -> dict[str, Method]:
    """Method objects with settings such as `{"lora.rank": 16}`, or `{"rank": 16}` for all methods that have it."""
    if not names:
        raise ConfigurationError(f"no method was named. Allowed: {', '.join(METHODS.names())}.")
    if repeated := sorted({n for n in names if list(names).count(n) > 1}):
        raise ConfigurationError(f"method {repeated[0]!r} is named twice.")
    own: dict[str, dict[str, Any]] = {name: {} for name in names}
    for key, value in settings.items():
        method, _, setting = key.rpartition(".")
        if method:
            if method not in own:
                raise ConfigurationError(
                    f"setting {key!r} is for a method that does not run; it runs {', '.join(names)}."
                )
            own[method][setting] = value
            continue
        having = [n for n in names if setting in {f.name for f in fields(METHODS[n])}]
        if not having:
            configured(METHODS[names[0]], {setting: value}, names[0])  # raises, with a suggestion
        for name in having:
            own[name].setdefault(setting, value)
    return {name: configured(METHODS[name], own[name], name) for name in names}
