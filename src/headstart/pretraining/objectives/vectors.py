"""Word vectors: what their objectives have in common."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

from headstart.pretraining.objectives.objective import Objective, at_least


@dataclass(frozen=True)
class VectorObjective(Objective):
    """A vector for each word, learned from the words around it."""

    dimension: int = 100
    "numbers a vector"
    window: int = 5
    "words to each side that are a word's context, within its paragraph; rare words are left out before"
    minimum_count: int = 5
    "occurrences from which on a word gets a vector"
    vocabulary: int = 400_000
    "most words, the most frequent ones"
    lowercase: bool = True
    "take words without case"
    unknown: Literal["subwords", "shared"] = "subwords"
    "what other words get, when texts are read: vectors of their pieces, made from the known words, or one for all"
    learning_rate: float = 0.025
    "rate of the first step"
    epochs: int = 10
    "passes over the corpus"
    threads: int = 0
    "0: one a core; with a single one, the same seed gives the same vectors"

    family: ClassVar[str] = "vectors"
    needs: ClassVar[str]
    "the library that trains them"

    def problems(self) -> Iterator[str]:
        yield from super().problems()
        yield from at_least(self, 1, "dimension", "window", "minimum_count", "vocabulary")
        yield from at_least(self, 0, "threads")
