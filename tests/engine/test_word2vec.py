"""What gensim is given, and in which order its vectors come back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from headstart.core.progress import Silent
from headstart.engine import word2vec
from headstart.objectives.word2vec import Cbow, SkipGram


@pytest.mark.parametrize("at_once", [1 << 20, 5])
def test_sentences_are_the_paragraphs(monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    monkeypatch.setattr(word2vec, "AT_ONCE", at_once)
    monkeypatch.setattr(word2vec, "LONGEST", 4)
    ids = np.array([0, 1, 3, 2, 0, 1, 2, 0, 3, 1, 3], dtype=np.uint16)
    sentences = word2vec.Sentences(ids, ["a", "b", "c"], Silent())
    wanted = [["a", "b"], ["c", "a", "b", "c"], ["a"], ["b"]]
    assert list(sentences) == wanted
    assert list(sentences) == wanted  # an epoch reads them anew


@pytest.mark.parametrize("objective", [SkipGram(), Cbow()], ids=["skipgram", "cbow"])
def test_vectors_are_in_the_order_of_the_words(objective: SkipGram | Cbow) -> None:
    """Words of two kinds that never meet, and of equal counts: gensim has them in an order of its own."""
    rng = np.random.default_rng(0)
    parts = [np.append(2 * rng.integers(0, 15, 12) + part % 2, 30) for part in range(600)]
    ids, words = np.concatenate(parts).astype(np.uint16), [f"w{number}" for number in range(30)]
    counts = np.bincount(ids, minlength=31)[:30].tolist()
    objective = replace(objective, dimension=8, sample=0.0, learning_rate=0.1, epochs=8)
    found = word2vec.train(ids, words, counts, len(parts), objective, 1, 0, Silent())
    assert found.shape == (30, 8)
    unit = found / np.linalg.norm(found, axis=1, keepdims=True)
    cosines = unit @ unit.T
    assert cosines[::2, ::2].mean() > cosines[::2, 1::2].mean() + 0.5
    again = word2vec.train(ids, words, counts, len(parts), objective, 1, 0, Silent())
    assert (found == again).all()
