"""Pending: a training that a search has asked for and waits for, like a future.

A search is a generator. It yields what it wants trained, or a finished row, and reads the result when it continues; so
the loop that runs the trainings decides where and when, and the search stands beside the road instead of on it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from headstart.comparison.outlook import Outlook
from headstart.comparison.trials.containment import contained
from headstart.comparison.trials.trial import RUN
from headstart.core.progress import Progress
from headstart.core.records.comparison import Row
from headstart.core.records.trial import Run, TrialSpec
from headstart.stats.predictions import Predictions

Finished = tuple[Row, list[Predictions]]
"the row of a method, and its test predictions, one per seed"
T = TypeVar("T")
Search = Generator["Pending | Finished", None, T]


@dataclass(eq=False)
class Pending:
    spec: TrialSpec
    folder: Path
    progress: Progress
    run: Run | None = None
    _error: BaseException | None = field(default=None, init=False)

    @contextlib.contextmanager
    def settling(self, run_folder: Path, outlook: Outlook) -> Iterator[None]:
        """Around the training: keeps what it raises for the search, also an interrupt, which ends the search.

        The traceback of an unexpected exception is written to `run_folder/errors`.
        """
        finished = (self.folder / RUN).is_file()  # then it is only read
        try:
            with (
                contained(run_folder, self.spec.name),
                contextlib.nullcontext() if finished else outlook.timed(self.spec.name),
            ):
                yield
        except BaseException as error:
            self._error = error

    def result(self) -> Run:
        """The training's result; raises what it raised."""
        error, self._error = self._error, None
        if error is not None:
            raise error
        assert self.run is not None, "a search continues after its training has run"
        return self.run
