"""Training of word2vec, by gensim."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np

from headstart.core.progress import Progress
from headstart.core.seeds import derive

LONGEST = 10_000
"maximum number of words of a sentence, because gensim ignores the rest"
AT_ONCE = 1 << 20
"number of ids that are read at once"


class Objective(Protocol):
    """Part of an objective that the training uses."""

    @property
    def dimension(self) -> int: ...

    @property
    def window(self) -> int: ...

    @property
    def learning_rate(self) -> float: ...

    @property
    def epochs(self) -> int: ...

    @property
    def negatives(self) -> int: ...

    @property
    def sample(self) -> float: ...

    @property
    def skip(self) -> bool: ...


class Sentences:
    """The paragraphs of a packed corpus as lists of words, read from the disk each time."""

    def __init__(self, ids: np.ndarray, words: Sequence[str], progress: Progress) -> None:
        self.ids, self.progress = ids, progress
        self.words = np.array([*words, ""], dtype=object)  # the last id separates paragraphs

    def __iter__(self) -> Iterator[list[str]]:
        rest: list[str] = []
        for at in range(0, len(self.ids), AT_ONCE):
            part = np.asarray(self.ids[at : at + AT_ONCE])
            words = rest + self.words[part].tolist()
            ends = np.flatnonzero(part == len(self.words) - 1) + len(rest)
            start = 0
            for end in ends:
                for first in range(start, end, LONGEST):
                    yield words[first : min(first + LONGEST, end)]
                start = int(end) + 1
            rest = words[start:]
            self.progress.advance(len(part))


def train(
    ids: np.ndarray, words: Sequence[str], counts: Sequence[int], objective: Objective, threads: int,
    seed: int, progress: Progress,
) -> np.ndarray:  # fmt: skip
    """Vectors [V, D] in the order of the words. ids: a packed corpus with the separator V."""
    from gensim.models import Word2Vec

    model = Word2Vec(
        vector_size=objective.dimension, window=objective.window, alpha=objective.learning_rate, sg=int(objective.skip),
        negative=objective.negatives, sample=objective.sample, min_count=1, workers=threads,
        seed=derive(seed, "vectors") % (1 << 31),
    )  # fmt: skip
    model.build_vocab_from_freq(dict(zip(words, counts)))
    sentences = Sentences(ids, words, progress)
    model.train(sentences, total_words=sum(counts), epochs=objective.epochs)
    found: np.ndarray = model.wv.vectors[[model.wv.key_to_index[word] for word in words]]
    return found
