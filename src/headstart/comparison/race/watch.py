"""Watch: gives up a training that would end after its deadline, and times its steps."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from headstart.core.progress import Progress


class OutOfTime(BaseException):
    """A training would end after its deadline: no failure of the method, and not to be contained as one."""


@dataclass
class Watch:
    """A progress that raises `OutOfTime` at the first step after `limit` (`time.perf_counter()`), and times the steps.

    per_epoch: steps; after each epoch validation is looked at, which is not counted.
    """

    on: Progress
    limit: float
    per_epoch: int
    _spent: float = field(default=0.0, init=False)
    _steps: int = field(default=0, init=False)
    _last: tuple[int, float] | None = field(default=None, init=False)
    "the step that was reached, and when"

    def stage(self, name: str, total: int | None = None) -> None:
        self.on.stage(name, total)

    def advance(self, steps: int = 1, note: str = "") -> None:
        now = time.perf_counter()
        if now > self.limit:
            raise OutOfTime
        at, before = self._last or (0, now)
        if at % self.per_epoch and steps:
            self._spent, self._steps = self._spent + now - before, self._steps + steps
        self._last = at + steps, now
        self.on.advance(steps, note)

    @property
    def step_seconds(self) -> float | None:
        """The mean, without the first step of each epoch; None if there were no others."""
        return self._spent / self._steps if self._steps else None

    def whole(self, place: str, left: float | None = None) -> None:
        self.on.whole(place, left)

    def say(self, message: str) -> None:
        self.on.say(message)
