"""Errors that the user can correct: each message names the given value, the allowed ones and the next step."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class HeadstartError(Exception):
    """A mistake in the input or the environment. The command line prints its message and exits with 2."""

    exit_code = 2


class ConfigurationError(HeadstartError):
    """An option, method or setting that does not exist or has a value that is not allowed."""


class DataError(HeadstartError):
    """A source of examples that can't be read, or that can't be used for the task."""


class ModelError(HeadstartError):
    """A backbone that can't be loaded, or whose structure lacks a part that the call needs."""


class MethodError(HeadstartError):
    """A method that can't be attached to this backbone; the message names the missing part."""


class ArtifactError(HeadstartError):
    """A saved run that is incomplete, was changed, or does not fit its base model."""


class ResourceError(HeadstartError):
    """The machine lacks disk space, memory or permissions."""


def suggestion(name: str, allowed: Iterable[str]) -> str:
    """`" Did you mean 'lora'?"` if the name is close to an allowed one, else `""`.

    If the name is a word of several allowed names, all are suggested: `macro_f1` and `micro_f1` for `f1`.
    """
    names = list(allowed)
    words = name.lower().replace("-", "_").split("_")
    near = [each for each in names if each in words] or difflib.get_close_matches(name.lower(), names, n=1, cutoff=0.5)
    parts = near[:1] or [each for each in names if name.lower() in each.split("_")]
    return f" Did you mean {' or '.join(map(repr, parts))}?" if parts else ""


def unknown(kind: str, name: str, allowed: Iterable[str]) -> ConfigurationError:
    """The error for a name that is not allowed."""
    names = sorted(allowed)
    return ConfigurationError(f"unknown {kind} {name!r}.{suggestion(name, names)} Allowed: {', '.join(names)}.")
