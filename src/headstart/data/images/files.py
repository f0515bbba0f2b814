"""Image files below a folder, with the same order and rule in training and prediction."""

from __future__ import annotations

import collections
import os
from collections.abc import Iterator
from pathlib import Path

from headstart.data.audit.findings import Findings
from headstart.data.images.formats import SUFFIXES
from headstart.data.tables.numbers import natural

JUNK = {"thumbs.db", "desktop.ini", "__macosx", "@eadir", "lost+found", "$recycle.bin"}
"names of files that operating systems create, in lower case"


def is_hidden(name: str) -> bool:
    """True for hidden files and those of operating systems (`._0.png`, `Thumbs.db`)."""
    return name.startswith(".") or name.lower() in JUNK


def shown(name: str) -> str:
    """A file's name as UTF-8: bytes that are none stand as `\\xe9`, so that two names never become one."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def why_unread(path: str | os.PathLike[str], error: OSError) -> str:
    """Why an image's file can't be read."""
    return "an address, not a file: download it" if "://" in str(path) else error.strerror or str(error)


class Passed:
    """Counts ignored files, for one finding per reason."""

    def __init__(self) -> None:
        self._places: dict[str, list[str]] = {}
        self._suffixes: collections.Counter[str] = collections.Counter()

    def other(self, place: str) -> None:
        """Counts a file whose suffix is not an image's."""
        self._suffixes[os.path.splitext(place)[1].lower() or "without a suffix"] += 1
        self._places.setdefault("", []).append(shown(place))

    def add(self, reason: str, place: str) -> None:
        self._places.setdefault(reason, []).append(shown(place))

    def note(self, findings: Findings) -> None:
        if self._suffixes:
            kinds = ", ".join(f"{count:,} {suffix}" for suffix, count in self._suffixes.most_common())
            message = f"files that are no images by their suffix, passed over: {kinds}"
            findings.add("skipped", "warning", message, self._places.pop(""))
        for reason, places in self._places.items():
            findings.add("skipped", "warning", reason, places)
        self.__init__()  # type: ignore[misc]


def image_files(folder: str | os.PathLike[str], passed: Passed | None = None) -> Iterator[str]:
    """Paths of the images below `folder`, in natural order, files of a folder before those of its subfolders.

    Hidden files and folders are ignored. Links to folders are followed, but each real folder only once and none above
    `folder`, so that a circle of links ends. passed: counts the other ignored files.
    """
    passed = Passed() if passed is None else passed
    top = os.path.realpath(folder)
    entered = {top}
    for inside, inner, files in os.walk(folder, followlinks=True, onerror=lambda e: _unreadable(e, passed)):
        for file in natural([name for name in files if not is_hidden(name)]):
            path = os.path.join(inside, file)
            if os.path.splitext(file)[1].lower() not in SUFFIXES:
                passed.other(path)
            elif not os.path.isfile(path):
                reason = "links to images that lead nowhere" if os.path.islink(path) else "pipes and devices"
                passed.add(f"{reason}, passed over", path)
            else:
                yield path
        inner[:] = [name for name in natural(inner) if not is_hidden(name)]
        for name in list(inner):
            path = os.path.join(inside, name)
            if os.path.islink(path):
                real = os.path.realpath(path)
                if real in entered or os.path.commonpath([real, top]) == real:
                    passed.add("linked folders that were read already, passed over", path)
                    inner.remove(name)
                entered.add(real)


def any_image(folder: Path) -> bool:
    return next(image_files(folder), None) is not None


def subfolders(root: Path) -> list[str]:
    """Names of the visible subfolders, including links, in natural order."""
    return natural([entry.name for entry in os.scandir(root) if entry.is_dir() and not is_hidden(entry.name)])


def _unreadable(error: OSError, passed: Passed) -> None:
    passed.add("folders that may not be read, passed over", str(error.filename))
