"""Progress bars on a terminal; plain lines in a pipe, one a minute during long work."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from headstart.core.duration import span
from headstart.core.progress import Progress, Silent

if TYPE_CHECKING:
    from rich.progress import TaskID


@contextmanager
def watching(quiet: bool) -> Iterator[Progress]:
    """Progress on standard error, because standard output is for results."""
    if quiet:
        yield Silent()
    elif not sys.stderr.isatty():
        yield Lines()
    else:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        from rich.progress import Progress as Bars

        columns = [
            TextColumn("{task.description:<26}"), BarColumn(24), MofNCompleteColumn(), TimeElapsedColumn(),
            TextColumn("left"), TimeRemainingColumn(), TextColumn("{task.fields[note]}"),
        ]  # fmt: skip
        with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
            yield Bar(bars)


class Lines:
    """Progress as lines: one per finished step, and one every `every` seconds while a step runs."""

    def __init__(self, every: float = 60.0) -> None:
        self.every, self.place = every, ""
        self.stage("starting")

    def stage(self, name: str, total: int | None = None) -> None:
        self.name, self.total, self.done, self.shown = name, total, 0, time.monotonic()

    def advance(self, steps: int = 1, note: str = "") -> None:
        self.done += steps
        if time.monotonic() - self.shown >= self.every:
            of = "" if self.total is None else f" of {self.total:,}"
            self.say(f"{self.name}: {self.done:,}{of}{', ' if note else ''}{note}{self.place and f' ({self.place})'}")
            self.shown = time.monotonic()

    def whole(self, place: str, left: float | None = None) -> None:
        self.place = place + ("" if left is None else f", about {span(left)} left")

    def say(self, message: str) -> None:
        try:
            sys.stderr.write(message + "\n")
            sys.stderr.flush()
        except BrokenPipeError:  # the reader has closed the pipe; the work continues
            sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - for as long as the process lives


class Bar:
    """Progress as a bar for the current stage."""

    def __init__(self, bars: object) -> None:
        from rich.progress import Progress as Bars

        assert isinstance(bars, Bars)
        self.bars, self.task = bars, bars.add_task("starting", total=None, note="")
        self.all: TaskID | None = None

    def stage(self, name: str, total: int | None = None) -> None:
        self.bars.reset(self.task, description=name, total=total, note="")

    def advance(self, steps: int = 1, note: str = "") -> None:
        self.bars.update(self.task, advance=steps, note=note)

    def whole(self, place: str, left: float | None = None) -> None:
        """A second bar, for the whole run and the forecast of its remaining time."""
        from rich.progress import Progress as Bars

        assert isinstance(self.bars, Bars)
        if self.all is None:
            self.all = self.bars.add_task("all", total=None, note="")
        note = "" if left is None else f"about {span(left)} in all left"
        self.bars.update(self.all, description=place, note=note)

    def say(self, message: str) -> None:
        self.bars.console.print(message, highlight=False)
