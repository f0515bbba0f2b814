"""Objective: one way of pretraining a backbone. A frozen dataclass whose fields are its configuration."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from headstart.core.registry import Registry

OBJECTIVES: Registry[type[Objective]] = Registry("objective", "headstart.pretraining.objectives")


@dataclass(frozen=True)
class Objective:
    """What every objective has; what it learns from decides which family it is of, and that who runs it."""

    family: ClassVar[str]
    """labelled: examples with labels; language: running text; vectors: running text, word by word; pairs: pictures and
    captions"""
    summary: ClassVar[str]
    of_new: ClassVar[tuple[str, ...]] = ()
    "settings of a network that is made: one to go on from has its own"

    @property
    def name(self) -> str:
        """As the user calls it."""
        return next((name for name in OBJECTIVES.names() if OBJECTIVES[name] is type(self)), type(self).__name__)

    @property
    def modality(self) -> str:
        """What the backbone will read."""
        return "image" if self.family in ("labelled", "pairs") else "text"

    def problems(self) -> Iterator[str]:
        """Sentences that say which settings can't be, one each."""
        yield from above(self, 0, "learning_rate")
        yield from at_least(self, 1, "epochs")


def at_least(objective: Objective, least: int, *names: str, unit: str = "") -> Iterator[str]:
    """A sentence for each of these settings that is below `least`; None is none."""
    for name in names:
        value = getattr(objective, name)
        if value is not None and value < least:
            yield f"{name} is {value}, but has to be at least {least} {unit}".rstrip() + "."


def above(objective: Objective, bound: float, *names: str) -> Iterator[str]:
    """A sentence for each of these settings that is not above `bound`; None is none."""
    for name in names:
        value = getattr(objective, name)
        if value is not None and not value > bound:
            yield f"{name} is {value}, but has to be above {bound:g}."


def shares(objective: Objective, *names: str) -> Iterator[str]:
    """A sentence for each of these settings that does not lie in [0, 1)."""
    for name in names:
        if not 0 <= getattr(objective, name) < 1:
            yield f"{name} is {getattr(objective, name)}, but has to lie in [0, 1)."
