"""Exclusive lock on a folder (flock): one process writes a run, and a second one gets a message with the holder."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from headstart.core.disk.files import unwritable
from headstart.core.errors import ConfigurationError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

NAME = ".lock"
"name of the lock file"
_BYTE = 1 << 20
"offset of the locked byte on Windows, behind the text because a locked byte can't be read"


class Lock:
    """Held from its creation until `release` or the end of the process.

    The system releases the lock of a dead process, so there is nothing to clean up. Raises `ConfigurationError` with
    the holder if another process or thread has the folder, and `ResourceError` if the folder can't be written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.file = folder, folder / NAME
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._handle = self._taken()
            me = {"process": os.getpid(), "host": socket.gethostname(), "since": f"{datetime.now(UTC):%F %T} UTC"}
            os.ftruncate(self._handle, 0)
            os.write(self._handle, json.dumps(me).encode())
        except OSError as error:
            raise unwritable(folder, error) from error

    def _taken(self) -> int:
        while True:
            handle = os.open(self.file, os.O_RDWR | os.O_CREAT, 0o666)
            if not _try(handle):
                holder = _holder(handle)
                os.close(handle)
                raise ConfigurationError(
                    f"{self.folder} is in use by another process ({holder}). Wait for it, or give another folder; "
                    "nothing was changed."
                )
            if self._there(handle):  # False if the former holder has removed the file after it was opened here
                return handle
            os.close(handle)

    def _there(self, handle: int | None = None) -> bool:
        """True if the open file is still the one in the folder."""
        try:
            return os.path.samestat(os.fstat(self._handle if handle is None else handle), os.stat(self.file))
        except FileNotFoundError:
            return False

    def release(self) -> None:
        """Removes the file while it is locked; a process that has opened it meanwhile sees this and retries."""
        if self._handle < 0:
            return
        # not removed, because after a replacement of the folder it belongs to another process
        if sys.platform != "win32" and self._there():
            self.file.unlink()
        os.close(self._handle)
        self._handle = -1
        if sys.platform == "win32":
            with contextlib.suppress(PermissionError):  # already locked by the next process
                self.file.unlink(missing_ok=True)

    def __enter__(self) -> Lock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def refuse_if_held(folder: Path) -> None:
    """Raises `ConfigurationError` if a process holds the folder now, before the caller reads data in vain."""
    if (folder / NAME).exists():
        Lock(folder).release()


def _try(handle: int) -> bool:
    try:
        if sys.platform == "win32":
            os.lseek(handle, _BYTE, os.SEEK_SET)
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
            os.lseek(handle, 0, os.SEEK_SET)
        else:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True


def _holder(handle: int) -> str:
    """Holder of the lock: `process 4711 on lab-2, since 2026-01-31 12:00:00 UTC`."""
    try:
        found: dict[str, Any] = json.loads(os.pread(handle, 4096, 0) if hasattr(os, "pread") else os.read(handle, 4096))
        return f"process {found['process']} on {found['host']}, since {found['since']}"
    except (OSError, ValueError, KeyError, TypeError):  # not written yet
        return "which has just begun"
