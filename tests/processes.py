"""Real processes that start at once: a Python with the big libraries imported forks itself for each script.

What is forked has its own streams, folder, session and end, as if it had been started; Headstart it imports itself.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from typing import IO, Any

WIDTH = 16
"characters of a number that goes over the link"
COMMAND = "from headstart.cli.main import main; main()"

NURSERY = """
import gc, json, os, signal, socket, sys
import click, jinja2, numpy, PIL.Image, pyarrow.csv, pyarrow.json, pyarrow.parquet, rich.console, safetensors.torch
import scipy.optimize, scipy.special, scipy.stats, torch
from transformers import AutoModel, AutoTokenizer, BertModel, PreTrainedTokenizerFast

signal.signal(signal.SIGINT, signal.default_int_handler)
os.fsync = lambda handle: None  # as in the tests' own process, which does not wait for the disk either
gc.collect()
gc.freeze()  # so that what is forked does not tidy up the libraries when it ends
link, width = socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2])
while True:
    told, streams, *_ = socket.recv_fds(link, 1 << 20, 2)
    if not told:
        break
    asked = json.loads(told)
    child = os.fork()
    if child:
        for stream in streams:
            os.close(stream)
        link.send(f"{os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):<{width}}".encode())
        continue
    os.setsid()
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, stream in enumerate(streams, 1):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(asked["folder"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    encoding = os.environ.get("PYTHONIOENCODING")
    sys.stdout = open(1, "w", encoding=encoding, closefd=False)
    sys.stderr = open(2, "w", encoding=encoding, errors="backslashreplace", buffering=1, closefd=False)
    sys.argv = ["-c", *asked["arguments"]]
    sys.path[:0] = asked["paths"]
    link.send(f"{os.getpid():<{width}}".encode())  # from here on it can be stopped as what it stands for
    link.close()
    exec(compile(asked["script"], "<script>", "exec"), {"__name__": "__main__"})
    break
"""


class Started:
    """A process that runs: its streams, and its end."""

    def __init__(self, link: socket.socket, out: IO[str] | None, err: IO[str] | None) -> None:
        self._link, self._code = link, None
        self.pid = int(link.recv(WIDTH))
        self.stdout, self.stderr = out, err

    def poll(self, seconds: float = 0) -> int | None:
        if self._code is None and select.select([self._link], [], [], seconds)[0]:
            self._code = int(self._link.recv(WIDTH))
        return self._code

    def wait(self, seconds: float = 120) -> int:
        code = self.poll(seconds)
        assert code is not None, f"it did not end within {seconds} s"
        return code

    def ended(self) -> tuple[int, str, str]:
        """The exit code, and what was written, which is less than a pipe holds."""
        out, err = (stream.read() if stream else "" for stream in (self.stdout, self.stderr))
        return self.wait(), out, err


class Nursery:
    """What scripts are forked from, one at a time."""

    def __init__(self) -> None:
        self._link, other = socket.socketpair()
        command = [sys.executable, "-c", NURSERY, str(other.fileno()), str(WIDTH)]
        alone = {**os.environ, "OMP_NUM_THREADS": "1"}  # a fork inherits no threads
        self._process = subprocess.Popen(command, pass_fds=[other.fileno()], env=alone)
        self._last: Started | None = None
        other.close()

    def start(
        self, *arguments: object, script: str = COMMAND, paths: Sequence[object] = (), out: IO[str] | None = None,
        joined: bool = False, **environment: str,
    ) -> Started:  # fmt: skip
        """A script in this folder. `out` takes its output instead of a pipe; `joined` puts its errors among it."""
        self.end()
        asked = {
            "arguments": list(map(str, arguments)), "script": script, "paths": list(map(str, paths)),
            "folder": os.getcwd(), "environment": {**os.environ, **environment},
        }  # fmt: skip
        read, write = (None, out.fileno()) if out else os.pipe()
        other, errors = (None, write) if joined else os.pipe()
        socket.send_fds(self._link, [json.dumps(asked).encode()], [write, errors])
        for stream in {errors} if out else {write, errors}:
            os.close(stream)
        self._last = Started(self._link, *(None if end is None else os.fdopen(end) for end in (read, other)))
        return self._last

    def run(self, *arguments: object, **options: Any) -> tuple[int, str, str]:
        return self.start(*arguments, **options).ended()

    def end(self) -> None:
        """Whatever a test that failed has left running."""
        if self._last and self._last.poll() is None:
            os.killpg(self._last.pid, signal.SIGKILL)
            self._last.wait()

    def close(self) -> None:
        self.end()
        self._link.close()
        self._process.wait(60)
