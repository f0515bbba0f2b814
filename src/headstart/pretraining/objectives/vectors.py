"""Base class of the objectives of word vectors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

from headstart.pretraining.objectives.objective import Objective, at_least


@dataclass(frozen=True)
class VectorObjective(Objective):
    """Learns a vector per word from its contexts."""

    dimension: int = 100
    "dimension of the vectors"
    window: int = 5
    "context size, in words to each side within the paragraph, after removing rare words"
    minimum_count: int = 5
    "minimum number of occurrences of a word with a vector"
    vocabulary: int = 400_000
    "maximum number of words; the most frequent ones are kept"
    lowercase: bool = True
    "convert words to lower case"
    unknown: Literal["subwords", "shared"] = "subwords"
    "vectors of unknown words: subwords (from pieces of known words) or shared (one for all)"
    learning_rate: float = 0.025
    "initial learning rate"
    epochs: int = 10
    "passes over the corpus, in epochs"
    threads: int = 0
    "number of threads; 0: one per core; 1 makes the vectors reproducible"

    family: ClassVar[str] = "vectors"
    needs: ClassVar[str]
    "library for the training"

    def problems(self) -> Iterator[str]:
        yield from super().problems()
        yield from at_least(self, 1, "dimension", "window", "minimum_count", "vocabulary")
        yield from at_least(self, 0, "threads")
