"""GloVe: word vectors whose products approximate log co-occurrence counts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from headstart.pretraining.objectives.objective import OBJECTIVES, above
from headstart.pretraining.objectives.vectors import VectorObjective


@OBJECTIVES.register("glove")
@dataclass(frozen=True)
class Glove(VectorObjective):
    """`sum_ij f(X_ij) / 2 (w_i . w'_j + b_i + b'_j - log X_ij)^2` with `f(x) = min(1, x / x_max)^alpha`.

    X_ij is the sum of 1/distance over the places where j is at most `window` words from i. The optimizer is AdaGrad, as
    in the authors' program; a word's vector is w + w'.

    Source: Pennington et al. 2014, "GloVe: Global Vectors for Word Representation", sections 3 and 4.2.
    """

    window: int = 10
    "context size, in words to each side within the paragraph, after removing rare words"
    x_max: float = 10.0
    "x_max: co-occurrence count from which all entries have weight 1; the paper's 100 is for billions of words"
    alpha: float = 0.75
    "exponent of the weight below x_max"
    learning_rate: float = 0.05
    "learning rate of AdaGrad"
    epochs: int = 15
    "passes over the counts, in epochs"
    memory: float = 1.0
    "memory for counting, in gibibytes; the rest goes to the disk, in --out"

    needs: ClassVar[str] = "numba"
    summary: ClassVar[str] = "GloVe: word vectors whose products approximate log co-occurrence counts"

    def problems(self) -> Iterator[str]:
        yield from super().problems()
        yield from above(self, 0, "x_max", "memory")
        if self.alpha < 0:
            yield f"alpha is {self.alpha}, but has to be at least 0."
