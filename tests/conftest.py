"""What all tests share: a history of runs of their own."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True, scope="session")
def _own_history(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    os.environ["HEADSTART_HOME"] = str(tmp_path_factory.mktemp("history"))
    yield
    del os.environ["HEADSTART_HOME"]
