"""Locks: one process writes a run; the second is told who does, and nothing is lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from headstart.core.disk.locks import NAME, Lock, refuse_if_held
from headstart.core.disk.runs import open_run, run_folder
from headstart.core.errors import ConfigurationError, ResourceError

HOLD = """
import sys, time
from pathlib import Path
from headstart.core.disk.locks import Lock
lock = Lock(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(60)
"""


def holder(folder: Path) -> subprocess.Popen[str]:
    """Another process that holds the folder."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_process_learns_who_holds_the_run(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    open_run(folder, {"epochs": 3}, {"data": "1"}, False).release()
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    other = holder(folder)
    try:
        for attempt in (
            lambda: run_folder(folder, "name", {"epochs": 3}, True),
            lambda: open_run(folder, {"epochs": 3}, {"data": "1"}, True),
            lambda: refuse_if_held(folder),
        ):
            with pytest.raises(
                ConfigurationError, match=rf"in use by another process \(process {other.pid} on .* since"
            ):
                attempt()
        assert {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file() and p.name != NAME} == before
    finally:
        other.kill()
        other.wait()


def test_a_process_that_is_killed_leaves_the_run_free(tmp_path: Path) -> None:
    other = holder(tmp_path)
    os.kill(other.pid, signal.SIGKILL)
    other.wait()
    assert (tmp_path / NAME).exists(), "nobody was there to remove it"
    with Lock(tmp_path):
        assert json.loads((tmp_path / NAME).read_text())["process"] == os.getpid()
    assert os.listdir(tmp_path) == []


def test_two_threads_are_two_holders(tmp_path: Path) -> None:
    with Lock(tmp_path), pytest.raises(ConfigurationError, match=f"process {os.getpid()}"):
        Lock(tmp_path)
    Lock(tmp_path).release()


def test_never_two_at_once(tmp_path: Path) -> None:
    """Holders come and go, the file with them: none finds a lock on a file that is no longer in the folder."""
    inside, most, entries = 0, 0, 0

    def work() -> None:
        nonlocal inside, most, entries
        end = time.monotonic() + 0.5
        while time.monotonic() < end:
            try:
                lock = Lock(tmp_path)
            except ConfigurationError:
                continue
            inside += 1
            most, entries = max(most, inside), entries + 1
            time.sleep(0)
            inside -= 1
            lock.release()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
    assert entries > 10


def test_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ResourceError, match="can't write"):
        Lock(tmp_path / "file" / "run")
