"""Files are written to a temporary name beside their place, synced and renamed (atomic, durable writes)."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import os
import re
import secrets
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from headstart.core.errors import ResourceError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"errors that only writing has"

TEMPORARY = ".partial"
"ends the names of files and folders under way"
ASIDE = ".old"
"ends the name of a folder that is making room for a new one"


@contextlib.contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yields a temporary path in the same folder; on success it takes the place of `path`, on failure it goes.

    What has taken its place is on the disk: a loss of power leaves the old file or the new one, whole. Raises
    `ResourceError` where the folder can't be written or the disk is full; what stood at `path` stays.
    """
    path = Path(path)
    temporary = _temporary(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # `open` rather than `mkstemp`: the system applies the umask, which can't be read without changing it
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        mode = temporary.stat().st_mode
        yield temporary
        if temporary.stat().st_mode != mode:  # safetensors makes its files readable by their owner alone
            temporary.chmod(mode)
        _sync(temporary)
        os.replace(temporary, path)
        _sync(path.parent)
    except Exception as error:
        if (found := _of_the_disk(error, path)) is None:
            raise
        raise unwritable(path, found) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def replacing_folder(path: str | Path) -> Iterator[Path]:
    """Like `replacing` for a whole folder: what is written into the yielded folder becomes `path` in one rename.

    On Linux old and new change places in one step. Elsewhere the old one is first moved aside, and moved back should
    the second step fail; where a process is killed between the two, `sweep` moves it back.
    """
    path = Path(path)
    temporary = _temporary(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.mkdir(0o777)
        mode = temporary.stat().st_mode
        yield temporary
        for file in temporary.rglob("*"):
            if file.is_file() and not file.is_symlink():
                file.chmod(mode & 0o666)
            if not file.is_symlink():
                _sync(file)
        _sync(temporary)
        if not path.exists():
            os.replace(temporary, path)
        elif not _exchanged(temporary, path):
            old = _temporary(path, ASIDE)
            try:
                os.replace(path, old)
                os.replace(temporary, path)
            finally:
                if not path.exists():  # stopped between the two
                    os.replace(old, path)
                shutil.rmtree(old, ignore_errors=True)
        _sync(path.parent)
    except Exception as error:
        if (found := _of_the_disk(error, path)) is None:
            raise
        raise unwritable(path, found) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def link_tree(source: Path, target: Path) -> None:
    """Gives the files below `source` a second name below `target`: links, or copies where the file system has none."""
    shutil.copytree(source, target, copy_function=_link, dirs_exist_ok=True)


def _link(file: str, target: str) -> None:
    try:
        os.link(file, target)
    except OSError:  # no links here, or the name is there from an interrupted end
        shutil.copy2(file, target)


def sweep(folder: Path) -> None:
    """Clears away what killed processes left half done below `folder`; only for who holds it (`core.locks`).

    A folder that was moved aside and whose successor never came goes back to its place.
    """
    for old in sorted(folder.rglob(f".*{ASIDE}")):
        place = old.with_name(old.name[1:].rsplit(".", 2)[0])
        if not place.exists():
            os.replace(old, place)
    for left in [*folder.rglob(f".*{TEMPORARY}"), *folder.rglob(f".*{ASIDE}")]:
        if left.is_dir() and not left.is_symlink():
            shutil.rmtree(left, ignore_errors=True)
        else:
            left.unlink(missing_ok=True)


def is_left(path: Path) -> bool:
    """Whether the name is one that `replacing` gives to what is under way."""
    return path.name.startswith(".") and path.suffix in (TEMPORARY, ASIDE)


def _temporary(path: Path, ending: str = TEMPORARY) -> Path:
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}{ending}")


def _sync(path: Path) -> None:
    """Waits until a file, or the names in a folder, are on the disk."""
    if path.is_dir() and os.name == "nt":  # folders can't be opened there, and renames are durable
        return
    handle = os.open(path, os.O_RDONLY if os.name != "nt" else os.O_RDWR)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # file systems without it
            raise
    finally:
        os.close(handle)


def _exchanged(one: Path, other: Path) -> bool:
    """Swaps two names in one step (Linux's `renameat2`), or gives False where that can't be."""
    if not sys.platform.startswith("linux"):
        return False
    swap = getattr(ctypes.CDLL(None), "renameat2", None)
    at_here, exchange = -100, 2
    return swap is not None and swap(at_here, os.fsencode(one), at_here, os.fsencode(other), exchange) == 0


def _of_the_disk(error: Exception, path: Path) -> OSError | None:
    """The error where it says that `path` can't be written; None for one about something else, say a file to read.

    It may come from a library written in Rust (tokenizers, safetensors), which names the system's error in its text,
    or from a file within a folder that is about to take its place.
    """
    if isinstance(error, ResourceError) and isinstance(error.__cause__, OSError):
        return error.__cause__
    if isinstance(error, OSError):
        names = [name for name in (error.filename, error.filename2) if isinstance(name, (str, os.PathLike))]
        place = path.parent.absolute()
        ours = any(Path(name).absolute().is_relative_to(place) for name in names)
        above = any(place.is_relative_to(Path(name).absolute()) for name in names)
        return error if ours or above or not names or error.errno in _FULL else None
    number = re.search(r"\(os error (\d+)\)", str(error))
    return OSError(int(number[1]), os.strerror(int(number[1]))) if number else None


def unwritable(path: Path, error: OSError) -> ResourceError:
    """What the user reads when `path` can't be written."""
    reason = f"{error.filename} is no folder" if isinstance(error, FileExistsError) else error.strerror or str(error)
    return ResourceError(
        f"can't write {path}: {reason}. Nothing was changed there; free space, or choose another place."
    )


def slug(name: str) -> str:
    """A file name for a name that came from elsewhere: letters, digits and `-_.@`, every other sign as `-`."""
    return "".join(c if c.isalnum() or c in "-_.@" else "-" for c in name).strip(".-")[:80]


def write_text(path: str | Path, text: str) -> None:
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | Path, value: Any) -> None:
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
