"""GloVe: vectors whose products are the logarithms of how often words stand together."""

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

    X_ij is the sum of 1/distance over the places where j stands at most `window` words from i. AdaGrad, as the authors'
    program has it; a word's vector is w + w'.

    Source: Pennington et al. 2014, "GloVe: Global Vectors for Word Representation", sections 3 and 4.2.
    """

    window: int = 10
    "words to each side that are a word's context, within its paragraph; rare words are left out before"
    x_max: float = 10.0
    "count from which on entries weigh the same; the paper's 100 is for corpora of billions of words"
    alpha: float = 0.75
    "power of the weight below x_max"
    learning_rate: float = 0.05
    "of AdaGrad"
    epochs: int = 15
    "passes over the counts"
    memory: float = 1.0
    "gibibytes in which counts are gathered; what does not fit goes to the disk, in --out"

    needs: ClassVar[str] = "numba"
    summary: ClassVar[str] = "GloVe: products of vectors are logarithms of how often words stand together"

    def problems(self) -> Iterator[str]:
        yield from super().problems()
        yield from above(self, 0, "x_max", "memory")
        if self.alpha < 0:
            yield f"alpha is {self.alpha}, but has to be at least 0."
