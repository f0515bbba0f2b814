"""Progress of long work, as a protocol. The command line draws it; the default is silent."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    def stage(self, name: str, total: int | None = None) -> None:
        """Begins a stage of `total` steps; None if the number is unknown."""

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Adds finished steps of the stage."""

    def whole(self, place: str, left: float | None = None) -> None:
        """Sets the position in the whole work, such as `method 9 of 10`, and the estimated seconds that are left."""

    def say(self, message: str) -> None:
        """Shows a line that stays."""


class Silent:
    """Shows nothing."""

    def stage(self, name: str, total: int | None = None) -> None:
        pass

    def advance(self, steps: int = 1, note: str = "") -> None:
        pass

    def whole(self, place: str, left: float | None = None) -> None:
        pass

    def say(self, message: str) -> None:
        pass
