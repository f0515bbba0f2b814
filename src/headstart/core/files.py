"""Files are written to a temporary name beside their place and renamed, so that none is ever half-written."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from headstart.core.errors import ResourceError


@contextlib.contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yields a temporary path in the same folder; on success it takes the place of `path`, on failure it goes.

    Raises `ResourceError` where the folder can't be written or the disk is full; what stood at `path` stays.
    """
    path = Path(path)
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        temporary.chmod(0o666 & ~_umask())
        yield temporary
        os.replace(temporary, path)
    except Exception as error:
        if (found := _of_the_disk(error)) is None:
            raise
        raise unwritable(path, found) from error
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def replacing_folder(path: str | Path) -> Iterator[Path]:
    """Like `replacing` for a whole folder: what is written into the yielded folder becomes `path` in one rename."""
    path = Path(path)
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
        temporary.chmod(0o777 & ~_umask())
        yield temporary
        for file in temporary.rglob("*"):  # safetensors makes its files readable by their owner alone
            if file.is_file() and not file.is_symlink():
                file.chmod(0o666 & ~_umask())
        if path.exists():
            old = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
            try:
                os.replace(path, old / path.name)
                os.replace(temporary, path)
            finally:
                if not path.exists():  # stopped between the two
                    os.replace(old / path.name, path)
                shutil.rmtree(old, ignore_errors=True)
        else:
            os.replace(temporary, path)
    except Exception as error:
        if (found := _of_the_disk(error)) is None:
            raise
        raise unwritable(path, found) from error
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


def _of_the_disk(error: Exception) -> OSError | None:
    """The error itself, or the one that a library written in Rust (tokenizers, safetensors) tells in its own kind.

    What could not be written into a folder that is about to take its place is told of that place.
    """
    if isinstance(error, ResourceError) and isinstance(error.__cause__, OSError):
        return error.__cause__
    if isinstance(error, OSError):
        return error
    told = re.search(r"\(os error (\d+)\)", str(error))
    return OSError(int(told[1]), os.strerror(int(told[1]))) if told else None


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


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
