"""Objective: one way of pretraining a backbone, as a frozen dataclass whose fields are its settings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from headstart.core.registry import Registry

OBJECTIVES: Registry[type[Objective]] = Registry("objective", "headstart.pretraining.objectives")


@dataclass(frozen=True)
class Objective:
    """Base class of objectives; the family, by the kind of data, determines the module that runs it."""

    family: ClassVar[str]
    """family: labelled (examples with labels), language (running text), vectors (words of running text), or pairs
    (images and captions)"""
    summary: ClassVar[str]
    of_new: ClassVar[tuple[str, ...]] = ()
    "settings of a new network, which a given backbone fixes"

    @property
    def name(self) -> str:
        """Name of the objective for users."""
        return next((name for name in OBJECTIVES.names() if OBJECTIVES[name] is type(self)), type(self).__name__)

    @property
    def modality(self) -> str:
        """Modality of the backbone."""
        return "image" if self.family in ("labelled", "pairs") else "text"

    def problems(self) -> Iterator[str]:
        """Problems of invalid settings, as sentences."""
        yield from above(self, 0, "learning_rate")
        yield from at_least(self, 1, "epochs")


def at_least(objective: Objective, least: int, *names: str, unit: str = "") -> Iterator[str]:
    """A sentence for each of these settings below `least`; None is allowed."""
    for name in names:
        value = getattr(objective, name)
        if value is not None and value < least:
            yield f"{name} is {value}, but has to be at least {least} {unit}".rstrip() + "."


def above(objective: Objective, bound: float, *names: str) -> Iterator[str]:
    """A sentence for each of these settings not above `bound`; None is allowed."""
    for name in names:
        value = getattr(objective, name)
        if value is not None and not value > bound:
            yield f"{name} is {value}, but has to be above {bound:g}."


def shares(objective: Objective, *names: str) -> Iterator[str]:
    """A sentence for each of these settings outside [0, 1)."""
    for name in names:
        if not 0 <= getattr(objective, name) < 1:
            yield f"{name} is {getattr(objective, name)}, but has to lie in [0, 1)."
