"""All tests share a history of runs, a Ctrl-C that is heard, and one thread: tiny models are faster on it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest
import torch
from hypothesis import settings

settings.register_profile("headstart", deadline=None)  # a busy machine is no failure
settings.load_profile("headstart")


@pytest.fixture(autouse=True, scope="session")
def _own_history(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    os.environ["HEADSTART_HOME"] = str(tmp_path_factory.mktemp("history"))
    yield
    del os.environ["HEADSTART_HOME"]


@pytest.fixture(autouse=True, scope="session")
def _interruptible() -> None:
    """A shell without job control starts what it puts into the background deaf to Ctrl-C, its children too."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
