"""Record: frozen dataclasses with checked JSON serialisation. Every result is a record."""

from __future__ import annotations

import dataclasses
import json
import math
import types
import typing
from pathlib import Path
from typing import Any, TypeVar

from headstart.core.disk.files import write_json
from headstart.core.errors import ArtifactError

R = TypeVar("R", bound="Record")


class Record:
    """Base of the frozen dataclasses that are written as JSON.

    `to_json` gives dicts, lists, strings, numbers, booleans and None; NaN and infinities become None, because JSON
    lacks them. `from_json` is its inverse. It raises `ArtifactError` for a missing field without a default, a value of
    another type, and a record of another kind or of a newer major version (its `schema`, such as
    `headstart.comparison/1`). Unknown fields are ignored, and missing ones get their default, so that older records
    stay readable.
    """

    def to_json(self) -> dict[str, Any]:
        return {f.name: _plain(getattr(self, f.name)) for f in dataclasses.fields(self)}  # type: ignore[arg-type]

    @classmethod
    def from_json(cls: type[R], value: dict[str, Any]) -> R:
        if not isinstance(value, dict):
            raise ArtifactError(f"a {cls.__name__} record is a JSON object, not {_type(value)}")
        hints = typing.get_type_hints(cls)
        known: dict[str, Any] = {}
        for field in dataclasses.fields(cls):  # type: ignore[arg-type]
            if field.name == "schema":
                _check_schema(value.get("schema"), field.default)
            elif field.name in value:
                known[field.name] = _typed(hints[field.name], value[field.name], f"{cls.__name__}.{field.name}")
            elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
                raise ArtifactError(f"the {cls.__name__} record has no field {field.name!r}; was it cut short?")
        return cls(**known)

    def write(self, path: str | Path) -> None:
        write_json(path, self.to_json())

    @classmethod
    def read(cls: type[R], path: str | Path) -> R:
        try:
            return cls.from_json(json.loads(Path(path).read_text(encoding="utf-8")))
        except ArtifactError as error:
            raise ArtifactError(f"{path}: {str(error).rstrip('.?')}.") from error
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


def _check_schema(found: Any, ours: Any) -> None:
    """Raises `ArtifactError` unless this version can read the schema; a missing one counts as the current one."""
    if found is None:
        return
    kind, _, version = str(found).rpartition("/")
    our_kind, _, our_version = str(ours).rpartition("/")
    if kind != our_kind or not version.isdigit():
        raise ArtifactError(f"this is a record of schema {found!r}, where {ours!r} is read")
    if int(version) > int(our_version):
        raise ArtifactError(
            f"this record was written by a newer version of Headstart ({found}; this one reads up to {ours}): "
            "install that version, or run the command again with this one"
        )


_SCALARS: dict[Any, tuple[type, ...]] = {str: (str,), bool: (bool,), int: (int,), float: (int, float)}
"JSON types of each type; NaN and infinities were written as null"


def _typed(hint: Any, value: Any, place: str) -> Any:
    """The value as this type. Raises `ArtifactError` with the place, such as `Row.value`."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        inner = [a for a in arguments if a is not type(None)]
        return None if value is None else _typed(inner[0], value, place)
    if hint in _SCALARS:
        if hint is float and value is None:
            return math.nan
        # because a median of byte counts may be fractional
        if hint is int and isinstance(value, float) and value.is_integer():
            return int(value)
        if not isinstance(value, _SCALARS[hint]) or (isinstance(value, bool) and hint is not bool):
            raise _wrong(place, hint.__name__, value)
        return value
    if isinstance(hint, type) and issubclass(hint, Record):
        if not isinstance(value, dict):
            raise _wrong(place, f"an object ({hint.__name__})", value)
        return hint.from_json(value)
    if origin is tuple:
        if not isinstance(value, list):
            raise _wrong(place, "a list", value)
        return tuple(_typed(arguments[0], item, f"{place}[{at}]") for at, item in enumerate(value))
    if origin is dict or hint is dict:
        if not isinstance(value, dict):
            raise _wrong(place, "an object", value)
        return {key: _typed(arguments[1], item, f"{place}.{key}") for key, item in value.items()}
    return value


def _wrong(place: str, wanted: str, value: Any) -> ArtifactError:
    return ArtifactError(f"{place} is {_type(value)}, where {wanted} is read")


def _type(value: Any) -> str:
    names = {type(None): "null", dict: "an object", list: "a list", str: "a text", bool: "true or false"}
    return names.get(type(value), "a number")
