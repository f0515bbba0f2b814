"""Failure isolation: an exception in one training only fails its row; its traceback is saved to a file."""

from __future__ import annotations

import contextlib
import errno
import re
import traceback
from collections.abc import Iterator
from pathlib import Path

from headstart.core.disk.files import write_text
from headstart.core.errors import ArtifactError, HeadstartError, MethodError

ERRORS = "errors"
"folder of tracebacks of failed rows, inside the run folder"
DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EACCES, errno.EPERM, errno.EMFILE)
"errors of the machine, which would stop the next training too"


class Failed(RuntimeError):
    """An unexpected error of one training, in one line; `file` has its traceback."""

    def __init__(self, line: str, file: Path) -> None:
        super().__init__(line)
        self.file = file


@contextlib.contextmanager
def contained(folder: Path, name: str) -> Iterator[None]:
    """Turns an unexpected exception into `Failed`, and writes its traceback to `folder/errors/NAME.txt`.

    `MethodError` passes, because its message is enough. Errors of the data, the base or the disk also pass, because
    they would stop every other training too, and so does `KeyboardInterrupt`.
    """
    try:
        yield
        return
    except (MethodError, Failed):
        raise
    except Exception as error:
        shared = isinstance(error, HeadstartError) and not isinstance(error, ArtifactError)
        if shared or (isinstance(error, OSError) and error.errno in DISK):
            raise
        file = folder / ERRORS / (re.sub(r"[^\w@.-]", "-", name) + ".txt")
        write_text(file, "".join(traceback.format_exception(error)))
        plain = isinstance(error, (RuntimeError, ValueError, ArtifactError)) and str(error).strip()
        line = (str(error) if plain else f"{type(error).__name__}: {error}").strip().splitlines()[0]
        failed = Failed(line[:300], file)
    raise failed


def bare(error: Exception) -> Exception:
    """The error without its traceback, because its frames would keep the model and gradients in memory."""
    error.__traceback__ = error.__context__ = error.__cause__ = None
    return error
