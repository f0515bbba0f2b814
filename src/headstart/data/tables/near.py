"""Paths as people write them: `~`, other letters, a typing error."""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import Any


def at_home(source: Any) -> Any:
    """`~/a.csv` in full if it exists, because shells leave the sign in quotes and behind `=`; else unchanged."""
    if isinstance(source, (str, os.PathLike)) and (name := os.fspath(source)).startswith("~") and "/" in name:
        full = os.path.expanduser(name)
        return full if os.path.exists(full) else source
    return source


def did_you_mean(path: Path, cutoff: float = 0.6) -> str:
    """` Did you mean …?` with the path in other letters or with similar names in its folder, or `""`."""
    if "*" in path.name:
        return " Patterns with * are not read: give the folder."
    if (same := _in_other_letters(path)) is not None:
        return f" Did you mean {same}?"
    near = difflib.get_close_matches(path.name, _names(path.parent), n=3, cutoff=cutoff)
    return f" Did you mean {' or '.join(str(path.parent / name) for name in near)}?" if near else ""


def _in_other_letters(path: Path) -> Path | None:
    """The only existing path that differs by upper and lower case, or by Windows' slashes."""
    found = Path()
    for part in Path(str(path).replace("\\", "/")).parts:
        below = found / part
        if not os.path.lexists(below):
            alike = [name for name in _names(found) if name.casefold() == part.casefold()]
            if len(alike) != 1:
                return None
            below = found / alike[0]
        found = below
    return found


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []
