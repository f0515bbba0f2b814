"""Subword vectors for unknown words: the vector of a piece is the mean of the words with it.

Like fastText, but computed from existing vectors. Source: Bojanowski et al. 2017, "Enriching Word Vectors with
Subword Information", section 3.2 (character n-grams with marks at both ends); Zhao et al. 2018, "Generalizing Word
Embeddings using Bag of Subwords" (from existing vectors).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence

import numpy as np

SHORTEST, LONGEST = 3, 6
"lengths of pieces, in characters including the marks of a word's ends"
SAMPLE = 100_000
"number of most frequent words from which pieces are taken"
AT_LEAST = 5
"minimum number of words with a piece"
AT_MOST = 20_000
"maximum number of pieces; those of most words are kept"


def pieces_of(words: Sequence[str]) -> list[str]:
    """The pieces of these words, most common first; deterministic."""
    counts = Counter(piece for word in words[:SAMPLE] for piece in set(_grams(word)))
    common = sorted((-count, piece) for piece, count in counts.items() if count >= AT_LEAST)
    return [piece for _, piece in common[:AT_MOST]]


def piece_vectors(pieces: Sequence[str], words: Sequence[str], vectors: np.ndarray) -> np.ndarray:
    """Mean of the vectors of the words that have the piece. vectors: [V, D]; returns [pieces, D]"""
    from scipy.sparse import csr_array

    numbers = {piece: row for row, piece in enumerate(pieces)}
    found = [
        (numbers[piece], row) for row, word in enumerate(words[:SAMPLE]) for piece in sorted(set(_grams(word)))
        if piece in numbers
    ]  # fmt: skip
    places = np.array(found, dtype=np.int64).reshape(-1, 2).T
    has = csr_array((np.ones(len(found), dtype=np.float32), (places[0], places[1])), (len(pieces), len(vectors)))
    counts = np.maximum(has.sum(1), 1).reshape(-1, 1)
    means: np.ndarray = (has @ vectors) / counts
    return means.astype(np.float32)


def cut(word: str, pieces: Collection[str]) -> Iterator[str]:
    """Greedy longest-match segmentation; a character that starts no piece is skipped."""
    marked, at = f"<{word}>", 0
    while at < len(marked):
        lengths = range(min(LONGEST, len(marked) - at), SHORTEST - 1, -1)
        piece = next((marked[at : at + n] for n in lengths if marked[at : at + n] in pieces), None)
        if piece is not None:
            yield piece
        at += len(piece) if piece is not None else 1


def _grams(word: str) -> Iterator[str]:
    marked = f"<{word.lower()}>"
    for length in range(SHORTEST, LONGEST + 1):
        for at in range(len(marked) - length + 1):
            yield marked[at : at + length]
