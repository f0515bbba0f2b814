"""Record: plain frozen data with JSON both ways. Every outcome is one; what reads it needs nothing else."""

from __future__ import annotations

import dataclasses
import json
import math
import types
import typing
from pathlib import Path
from typing import Any, TypeVar

from headstart.core.errors import ArtifactError
from headstart.core.files import write_json

R = TypeVar("R", bound="Record")


class Record:
    """Base of the frozen dataclasses that are written as JSON.

    `to_json` gives dicts, lists, strings, numbers, booleans and None; NaN and infinities become None, since JSON
    has no word for them. `from_json` is its inverse; a missing field without a default is an `ArtifactError`,
    a field that this version does not know is ignored, so that newer minor versions stay readable.
    """

    def to_json(self) -> dict[str, Any]:
        return {f.name: _plain(getattr(self, f.name)) for f in dataclasses.fields(self)}  # type: ignore[arg-type]

    @classmethod
    def from_json(cls: type[R], value: dict[str, Any]) -> R:
        if not isinstance(value, dict):
            raise ArtifactError(f"a {cls.__name__} record is a JSON object, not {type(value).__name__}")
        hints = typing.get_type_hints(cls)
        known: dict[str, Any] = {}
        for field in dataclasses.fields(cls):  # type: ignore[arg-type]
            if field.name in value:
                known[field.name] = _typed(hints[field.name], value[field.name])
            elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
                raise ArtifactError(f"the {cls.__name__} record has no field {field.name!r}; was it cut short?")
        return cls(**known)

    def write(self, path: str | Path) -> None:
        write_json(path, self.to_json())

    @classmethod
    def read(cls: type[R], path: str | Path) -> R:
        try:
            return cls.from_json(json.loads(Path(path).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise ArtifactError(f"can't read {path} as a {cls.__name__} record: {error}") from error


def _plain(value: Any) -> Any:
    if isinstance(value, Record):
        return value.to_json()
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if hasattr(value, "item"):  # a NumPy scalar
        return _plain(value.item())
    raise TypeError(f"a record can't hold {type(value).__name__}")


def _typed(hint: Any, value: Any) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        inner = [a for a in arguments if a is not type(None)]
        return None if value is None or not inner else _typed(inner[0], value)
    if isinstance(hint, type) and issubclass(hint, Record) and value is not None:
        return hint.from_json(value)
    if origin is tuple and value is not None:
        return tuple(_typed(arguments[0], item) for item in value)
    if origin is dict and value is not None:
        return {key: _typed(arguments[1], item) for key, item in value.items()}
    return value
