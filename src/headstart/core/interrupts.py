"""Deferred Ctrl-C: the current step finishes first, so that its result is kept."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


class Interrupt:
    """`asked` is True once Ctrl-C was pressed."""

    asked = False


@contextmanager
def patient() -> Iterator[Interrupt]:
    """Inside this context the first Ctrl-C only sets `asked`; the second one interrupts at once.

    The code inside raises `KeyboardInterrupt` at a suitable place. Nothing changes outside the main thread, or if
    another handler of the signal is installed.
    """
    interrupt = Interrupt()
    before: Any = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or before is not signal.default_int_handler:
        yield interrupt
        return

    def note(number: int, frame: FrameType | None) -> None:
        if interrupt.asked:
            raise KeyboardInterrupt
        interrupt.asked = True

    signal.signal(signal.SIGINT, note)
    try:
        yield interrupt
    finally:
        signal.signal(signal.SIGINT, before)
