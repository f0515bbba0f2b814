"""All tests share a history of runs, a Ctrl-C that is heard, one thread, no network, and few timings."""

from __future__ import annotations

import functools
import gc
import os
import signal
from collections.abc import Callable, Iterator

import pytest
import torch
from hypothesis import settings

from headstart.data import embedded
from processes import Nursery

settings.register_profile("headstart", deadline=None)  # a busy machine is no failure
settings.load_profile("headstart")
embedded.digits = functools.cache(embedded.digits)  # it is only read, and takes most of a second


def pytest_collection_finish() -> None:
    """What has been imported by now stays: collecting garbage need not look through it again and again."""
    gc.collect()
    gc.freeze()


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
def _offline_on_one_thread() -> Iterator[None]:
    """Tiny models are faster on one thread."""
    from huggingface_hub import constants

    before, environment, offline = torch.get_num_threads(), dict(os.environ), constants.HF_HUB_OFFLINE
    torch.set_num_threads(1)
    os.environ.update(HF_HUB_OFFLINE="1", OMP_NUM_THREADS="1")
    constants.HF_HUB_OFFLINE = True  # it has been read from the environment already
    yield
    constants.HF_HUB_OFFLINE = offline
    torch.set_num_threads(before)
    os.environ.clear()
    os.environ.update(environment)


@pytest.fixture(autouse=True, scope="session")
def _few_timings() -> Iterator[None]:
    """Models are timed over a few answers, not over dozens: what a latency and a cost is has tests of its own."""
    from headstart.comparison.trials import saved
    from headstart.judging import cost

    latencies = saved.latencies
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(saved, "latencies", lambda run, count: latencies(run, 2, warmup=1))
        patch.setattr(cost, "BATCHES", dict.fromkeys(cost.BATCHES, cost.ROUNDS))
        yield


@pytest.fixture(autouse=True, scope="session")
def _no_waiting_for_the_disk() -> Iterator[None]:
    """A comparison syncs some fifty files; that it does is tested, by the order of the calls."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda handle: None)
        yield


@pytest.fixture(autouse=True, scope="session")
def _fp32_by_default() -> Iterator[Callable[[str], bool]]:
    """Tests compute alike on every processor, and tiny models faster; those about bf16 ask for it."""
    from headstart.engine.machine import precision

    found = precision._multiplies_bf16
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(precision, "_multiplies_bf16", lambda kind: False)
        yield found


@pytest.fixture(scope="session")
def processes() -> Iterator[Nursery]:
    """Where real processes start without importing the big libraries again."""
    nursery = Nursery()
    yield nursery
    nursery.close()
