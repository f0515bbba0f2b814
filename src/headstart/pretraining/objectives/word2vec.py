"""word2vec: skip-gram and CBOW with negative sampling."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from headstart.pretraining.objectives.objective import OBJECTIVES, at_least
from headstart.pretraining.objectives.vectors import VectorObjective


@dataclass(frozen=True)
class Word2Vec(VectorObjective):
    """`-log s(v'_o . h) - sum_k log s(-v'_k . h)`: word o of a context h against words k drawn at random.

    s is the logistic function; k is drawn with probability proportional to count^0.75. A word of share f in the corpus
    is kept with probability `sqrt(t/f) + t/f`, and each window is of a random size up to `window`.

    Source: Mikolov et al. 2013, "Distributed Representations of Words and Phrases", sections 2.2 and 2.3.
    """

    negatives: int = 5
    "negative samples per positive pair"
    sample: float = 1e-3
    "subsampling threshold t: more frequent words are skipped at random, as a share of the corpus; 0: no subsampling"

    needs: ClassVar[str] = "gensim"
    skip: ClassVar[bool]
    "True for skip-gram (a word predicts its context), False for CBOW"

    def problems(self) -> Iterator[str]:
        yield from super().problems()
        yield from at_least(self, 1, "negatives")
        if self.learning_rate > 1:
            yield f"learning_rate is {self.learning_rate:g}, but has to be at most 1; 0.025 is usual."
        if not 0 <= self.sample < 1:
            yield f"sample is {self.sample}, but has to lie in [0, 1)."


@OBJECTIVES.register("skipgram")
@dataclass(frozen=True)
class SkipGram(Word2Vec):
    """h is the vector of a word near o.

    Source: Mikolov et al. 2013, "Efficient Estimation of Word Representations in Vector Space", section 3.2.
    """

    sample: float = 1e-4
    "subsampling threshold t: more frequent words are skipped at random, as a share of the corpus; 0: no subsampling"

    summary: ClassVar[str] = "word2vec skip-gram: a word predicts its context"
    skip: ClassVar[bool] = True


@OBJECTIVES.register("cbow")
@dataclass(frozen=True)
class Cbow(Word2Vec):
    """h is the mean of the vectors of the words around o.

    Source: Mikolov et al. 2013, "Efficient Estimation of Word Representations in Vector Space", section 3.1.
    """

    summary: ClassVar[str] = "word2vec CBOW: the context predicts a word"
    skip: ClassVar[bool] = False
