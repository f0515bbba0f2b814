"""Search: the passages nearest to a question, by words (BM25) or by vectors (dense retrieval)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Protocol

import numpy as np

from headstart.data.documents.passages import Passage

WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+|\w+")
UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
"Japanese, Chinese and Korean signs, whose words are not parted by blanks"


class Search(Protocol):
    """A way to find passages; `passages` are in the order of the numbers that it returns."""

    passages: Sequence[Passage]

    def nearest(self, questions: Sequence[str], count: int) -> np.ndarray:
        """[questions, k] numbers of passages, the best first; k is `count`, or less for fewer passages."""


class BM25:
    """Okapi BM25 by bm25s (Lucene's variant, k1 1.5, b 0.75), over the words of headings and text.

    `score(q, p) = sum_w idf(w) f(w, p) / (f(w, p) + k1 (1 - b + b |p| / mean |p|))`, w over the words of the question.
    Words are parted by blanks and signs and put in lower case; Chinese, Japanese and Korean go by pairs of signs.
    Equal scores: the earlier passage first, so that a result does not depend on the sorting.
    """

    def __init__(self, passages: Sequence[Passage]) -> None:
        self.passages = passages

    @cached_property
    def _index(self) -> object:
        import bm25s

        index = bm25s.BM25()
        index.index([terms(passage.shown) or [""] for passage in self.passages], show_progress=False)
        return index

    def nearest(self, questions: Sequence[str], count: int) -> np.ndarray:
        index, k = self._index, min(count, len(self.passages))
        found = np.empty((len(questions), k), dtype=np.int64)
        for row, question in enumerate(questions):
            known = [word for word in terms(question) if word in index.vocab_dict]  # type: ignore[attr-defined]
            scores = index.get_scores(known) if known else np.zeros(len(self.passages))  # type: ignore[attr-defined]
            found[row] = np.argsort(-scores, kind="stable")[:k]
        return found


class Dense:
    """Cosine similarity of vectors. embed: texts to vectors [n, D]; of questions and of passages, where they differ."""

    def __init__(
        self, passages: Sequence[Passage], embed: Callable[[list[str]], np.ndarray],
        embed_passages: Callable[[list[str]], np.ndarray] | None = None,
    ) -> None:  # fmt: skip
        self.passages, self._embed, self._embed_passages = passages, embed, embed_passages or embed

    @cached_property
    def _vectors(self) -> np.ndarray:
        return _unit(self._embed_passages([passage.shown for passage in self.passages]))

    def nearest(self, questions: Sequence[str], count: int) -> np.ndarray:
        scores = _unit(self._embed(list(questions))) @ self._vectors.T  # [questions, passages]
        return np.argsort(-scores, axis=1, kind="stable")[:, :count]


def terms(text: str) -> list[str]:
    """The words of a text for BM25."""
    found = []
    for word in WORD.findall(unicodedata.normalize("NFKC", text).lower()):
        if UNSPACED.match(word) and len(word) > 2:
            found += [word[at : at + 2] for at in range(len(word) - 1)]
        else:
            found.append(word)
    return found


def _unit(vectors: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths == 0, 1, lengths)
