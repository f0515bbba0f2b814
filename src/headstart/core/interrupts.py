"""Ctrl-C at a place of our choice: the step that runs is finished, and what was reached is kept."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


class Interrupt:
    """Whether Ctrl-C was pressed."""

    asked = False


@contextmanager
def patient() -> Iterator[Interrupt]:
    """While it lasts, the first Ctrl-C is only noted; the second one interrupts at once, as ever.

    Whoever sees `asked` raises `KeyboardInterrupt` where it suits. Outside the main thread, and where someone else
    handles the signal, nothing changes.
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
