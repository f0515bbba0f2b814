"""Progress: what long work tells whoever watches. The command line draws it; by default nobody watches."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    def stage(self, name: str, total: int | None = None) -> None:
        """A new stage begins, `total` steps long where that is known."""

    def advance(self, steps: int = 1, note: str = "") -> None:
        """So many steps of the stage are done."""

    def say(self, message: str) -> None:
        """One line that stays."""


class Silent:
    """Watches nothing."""

    def stage(self, name: str, total: int | None = None) -> None:
        pass

    def advance(self, steps: int = 1, note: str = "") -> None:
        pass

    def say(self, message: str) -> None:
        pass
