"""Ctrl-C at a place of our choice."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from headstart.core.interrupts import patient

POSIX = pytest.mark.skipif(os.name != "posix", reason="sends signals as a terminal does")


@POSIX
def test_the_first_is_noted_and_the_second_interrupts() -> None:
    before = signal.getsignal(signal.SIGINT)
    with patient() as interrupt:
        assert not interrupt.asked
        os.kill(os.getpid(), signal.SIGINT)
        assert interrupt.asked
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


@POSIX
def test_who_handles_the_signal_already_goes_on_doing_so() -> None:
    seen: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: seen.append(number))
    try:
        with patient() as interrupt:
            os.kill(os.getpid(), signal.SIGINT)
            assert seen == [signal.SIGINT]
            assert not interrupt.asked
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_thread_changes_nothing() -> None:
    found: list[bool] = []

    def inside() -> None:
        with patient() as interrupt:
            found.append(interrupt.asked)

    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    assert found == [False]
