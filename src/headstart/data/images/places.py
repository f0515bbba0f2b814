"""Places of a table's images: the folders that its relative paths start from."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from headstart.core.errors import DataError
from headstart.data.images.files import subfolders
from headstart.data.ingest.split_names import lies_beside, split_of_words
from headstart.data.tables.table import ImagePath


def bases_of(paths: Sequence[str], table: Path | None) -> list[Path]:
    """Base folders of the paths: the table's, or its subfolders that hold them, or the working directory; [] if none.

    Raises `DataError` like `clear_folders`.
    """
    if table is not None:
        if any(_exists(table.parent, path) for path in paths):
            return [table.parent]
        held = {name: {one for one in paths if _exists(table.parent / name, one)} for name in subfolders(table.parent)}
        if any(held.values()):
            return [table.parent / name for name in clear_folders(held, table)]
    return [Path()] if any(_exists(Path(), path) for path in paths) else []


def clear_folders(held: Mapping[str, set[str]], table: Path) -> list[str]:
    """The folders that hold names of the table, if no two hold the same; else the one with all, or with its name.

    held: names by folder; folders of masks and annotations count only if no other has names. Raises `DataError` if
    several folders have all names, and not just one is called like the table.
    """
    inner, stem = [name for name, names in held.items() if names], table.name.split(".")[0]
    inner = [name for name in inner if not lies_beside(name)] or inner
    twice = sorted({one for name in inner for one in held[name] if sum(one in held[other] for other in inner) > 1})
    if not twice:
        return inner
    whole = [name for name in inner if held[name] == set().union(*(held[other] for other in inner))]
    if len(whole) == 1:
        return whole
    alike = [name for name in inner if name == stem or (split_of_words(name) or "") == split_of_words(stem)]
    if len(alike) != 1:
        raise DataError(
            f"{table.name} names images such as {twice[0]}, and {', '.join(sorted(inner)[:5])} each hold files of such "
            "names. Write the folder into the paths."
        )
    return alike


def placed(path: str | None, bases: Sequence[Path]) -> ImagePath | None:
    """The path below the base that holds it, else below the first. Raises `DataError` if several bases hold it."""
    if path is None:
        return None
    holding = [base for base in bases if _exists(base, path)] if len(bases) > 1 else []
    if len(holding) > 1:
        folders = " and ".join(base.name for base in holding)
        raise DataError(f"the image {path} lies in {folders}. Write the folder into the paths.")
    found = ImagePath(path if "://" in path else os.path.abspath(_at((holding or bases)[0], path)))
    found.given = path
    return found


def _exists(base: Path, path: str) -> bool:
    try:
        return _at(base, path).is_file()
    except (OSError, ValueError, RuntimeError):
        # no valid path: too long, with a zero byte, or in an unknown user's home
        return False


def _at(base: Path, path: str) -> Path:
    """A path relative to this folder; expands `~`, and tries Windows' backslashes if there is no such file."""
    place = base / Path(path).expanduser()
    return base / path.replace("\\", "/") if "\\" in path and not place.is_file() else place
