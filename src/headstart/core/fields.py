"""Settings as dataclass fields: defaults, help texts and checks all come from the dataclass."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import math
import textwrap
import types
import typing
from collections.abc import Mapping
from typing import Any

from headstart.core.errors import ConfigurationError, unknown


def descriptions(cls: Any) -> dict[str, str]:
    """Help text of each field: the string below the field in the source of the class or of a base class."""
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        if not dataclasses.is_dataclass(base) or "+" in getattr(
            base, "__name__", ""
        ):  # a class of two joined methods has no source
            continue
        body = ast.parse(textwrap.dedent(inspect.getsource(typing.cast(type, base)))).body[0]
        assert isinstance(body, ast.ClassDef)
        for field, text in zip(body.body, body.body[1:]):
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(text, ast.Expr):
                value = getattr(text.value, "value", None)
                if isinstance(value, str):
                    found[field.target.id] = " ".join(value.split())
    return found


def configured(cls: type, settings: Mapping[str, Any], where: str) -> Any:
    """An instance of the dataclass with these settings, given as text (`rank=16`) or as values.

    Raises `ConfigurationError` for an unknown name, or for a value that does not fit the field's type or choices.
    """
    hints = typing.get_type_hints(cls)
    fields = {f.name for f in dataclasses.fields(cls) if f.init}
    values = {}
    for name, value in settings.items():
        if name not in fields:
            raise unknown(f"setting of {where}", name, fields)
        values[name] = converted(value, hints[name], f"{where}: {name}")
    return cls(**values)


def converted(value: Any, hint: Any, where: str) -> Any:
    """`value` converted to the type `hint`; text is parsed as a user types it."""
    origin, choices = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        if value is None or (isinstance(value, str) and value.lower() in ("none", "auto", "")):
            return None
        return converted(value, next(c for c in choices if c is not type(None)), where)
    if origin is typing.Literal:
        if value in choices:
            return value
        raise unknown(f"value of {where}:", str(value), [str(c) for c in choices])
    if origin is tuple:
        if not isinstance(value, (str, list, tuple)):
            raise ConfigurationError(f"{where} is {value!r}, but has to be a list.")
        items = value.split(",") if isinstance(value, str) else list(value)
        return tuple(converted(i.strip() if isinstance(i, str) else i, choices[0], where) for i in items if i != "")
    try:
        if hint is bool:
            words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
            return value if isinstance(value, bool) else words[str(value).lower()]
        if hint is int:
            if isinstance(value, bool) or float(value) != int(float(value)):
                raise ValueError
            return int(float(value))
        if hint is float:
            number = float(value)
            if not math.isfinite(number):
                raise ConfigurationError(f"{where} is {value!r}, but has to be a finite number.")
            return number
        return hint(value)
    except (ValueError, TypeError, KeyError, OverflowError):
        name = getattr(hint, "__name__", str(hint))
        raise ConfigurationError(f"{where} is {value!r}, but has to be of type {name}.") from None
