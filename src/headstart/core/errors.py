"""Errors a user can mend: one message that says what came, what is allowed and what to do next."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class HeadstartError(Exception):
    """A mistake in the input or the surroundings. The command line prints its message and exits with 2."""

    exit_code = 2


class ConfigurationError(HeadstartError):
    """An option, method or setting that does not exist or has a value that is not allowed."""


class DataError(HeadstartError):
    """A source of examples that can't be read, or that can't be used for the task."""


class ModelError(HeadstartError):
    """A backbone that can't be loaded, or whose structure does not carry what is asked of it."""


class MethodError(HeadstartError):
    """A method that can't be attached to this backbone; the message says what the method needs."""


class ArtifactError(HeadstartError):
    """A saved run that is incomplete, was changed, or does not fit the base model it names."""


class ResourceError(HeadstartError):
    """Disk, memory, permissions: the machine does not allow what was asked."""


def suggestion(name: str, allowed: Iterable[str]) -> str:
    """`" Did you mean 'lora'?"` for a near miss of an allowed name, or one with a word too many; else nothing.

    Of several names that have the given one as a word, all are suggested: `macro_f1` and `micro_f1` for `f1`.
    """
    names = list(allowed)
    words = name.lower().replace("-", "_").split("_")
    near = [each for each in names if each in words] or difflib.get_close_matches(name.lower(), names, n=1, cutoff=0.5)
    parts = near[:1] or [each for each in names if name.lower() in each.split("_")]
    return f" Did you mean {' or '.join(map(repr, parts))}?" if parts else ""


def unknown(kind: str, name: str, allowed: Iterable[str]) -> ConfigurationError:
    """The error for a name that is not among those allowed."""
    names = sorted(allowed)
    return ConfigurationError(f"unknown {kind} {name!r}.{suggestion(name, names)} Allowed: {', '.join(names)}.")
