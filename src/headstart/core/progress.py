"""Progress: what long work tells whoever watches. The command line draws it; by default nobody watches."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    def stage(self, name: str, total: int | None = None) -> None:
        """A new stage begins, `total` steps long where that is known."""

    def advance(self, steps: int = 1, note: str = "") -> None:
        """So many steps of the stage are done."""

    def whole(self, place: str, left: float | None = None) -> None:
        """Where the whole work stands, such as `method 9 of 10, training 2 of 5`, and the seconds that are left."""

    def say(self, message: str) -> None:
        """One line that stays."""


class Silent:
    """Watches nothing."""

    def stage(self, name: str, total: int | None = None) -> None:
        pass

    def advance(self, steps: int = 1, note: str = "") -> None:
        pass

    def whole(self, place: str, left: float | None = None) -> None:
        pass

    def say(self, message: str) -> None:
        pass
