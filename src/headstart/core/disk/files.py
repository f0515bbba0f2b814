"""Atomic, durable writes: files get a temporary name beside their place, are synced and renamed."""

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
"error numbers of failed writes"

TEMPORARY = ".partial"
"suffix of unfinished files and folders"
ASIDE = ".old"
"suffix of a folder that is being replaced"


@contextlib.contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yields a temporary path in the same folder; on success it replaces `path`, on failure it is removed.

    The new file is synced to the disk, so that a power failure leaves either the old or the new file complete. Raises
    `ResourceError` if the folder can't be written or the disk is full; `path` is then unchanged.
    """
    path = Path(path)
    temporary = _temporary(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # `open` instead of `mkstemp`, because it applies the umask, which can't be read without changing it
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        mode = temporary.stat().st_mode
        yield temporary
        if temporary.stat().st_mode != mode:  # because safetensors makes files readable only by their owner
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
    """Like `replacing` for a whole folder: the yielded folder becomes `path` in one rename.

    On Linux, old and new are exchanged in one step. Elsewhere the old one is first moved aside, and moved back if the
    second step fails; if the process is killed in between, `sweep` moves it back.
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
                if not path.exists():  # stopped between the two renames
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
    """Links the files below `source` into `target`; copies them if the file system has no links."""
    shutil.copytree(source, target, copy_function=_link, dirs_exist_ok=True)


def _link(file: str, target: str) -> None:
    try:
        os.link(file, target)
    except OSError:  # the file system has no links, or the name exists from an interrupted run
        shutil.copy2(file, target)


def sweep(folder: Path) -> None:
    """Removes unfinished files of killed processes below `folder`; the caller must hold its lock (`core.disk.locks`).

    A folder that was moved aside without a successor is moved back.
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
    """True for names of unfinished files by `replacing`."""
    return path.name.startswith(".") and path.suffix in (TEMPORARY, ASIDE)


def _temporary(path: Path, ending: str = TEMPORARY) -> Path:
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}{ending}")


def _sync(path: Path) -> None:
    """Syncs a file, or the names in a folder, to the disk (fsync)."""
    if path.is_dir() and os.name == "nt":  # not on Windows, where folders can't be opened and renames are durable
        return
    handle = os.open(path, os.O_RDONLY if os.name != "nt" else os.O_RDWR)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # file systems without fsync
            raise
    finally:
        os.close(handle)


def _exchanged(one: Path, other: Path) -> bool:
    """Exchanges two names in one step (Linux's `renameat2`); False if not supported."""
    if not sys.platform.startswith("linux"):
        return False
    swap = getattr(ctypes.CDLL(None), "renameat2", None)
    at_here, exchange = -100, 2
    return swap is not None and swap(at_here, os.fsencode(one), at_here, os.fsencode(other), exchange) == 0


def _of_the_disk(error: Exception, path: Path) -> OSError | None:
    """The error if it is about writing `path`; None for others, such as one about a file that is read.

    It may come from a Rust library (tokenizers, safetensors), which puts the system's error into its text, or from a
    file inside a folder that is about to be renamed.
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
    """Message for the user if `path` can't be written."""
    reason = f"{error.filename} is no folder" if isinstance(error, FileExistsError) else error.strerror or str(error)
    return ResourceError(
        f"can't write {path}: {reason}. Nothing was changed there; free space, or choose another place."
    )


def slug(name: str) -> str:
    """A safe file name: letters, digits and `-_.@+`; every other sign becomes `-`."""
    return "".join(c if c.isalnum() or c in "-_.@+" else "-" for c in name).strip(".-")[:80]


def write_text(path: str | Path, text: str) -> None:
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | Path, value: Any) -> None:
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
