"""What gensim is given, and in which order its vectors come back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from headstart.core.progress import Silent
from headstart.pretraining.jobs import word2vec
from headstart.pretraining.objectives.word2vec import Cbow, SkipGram


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
    found = word2vec.train(ids, words, counts, objective, 1, 0, Silent())
    assert found.shape == (30, 8)
    unit = found / np.linalg.norm(found, axis=1, keepdims=True)
    cosines = unit @ unit.T
    assert cosines[::2, ::2].mean() > cosines[::2, 1::2].mean() + 0.5
    again = word2vec.train(ids, words, counts, objective, 1, 0, Silent())
    assert (found == again).all()


def test_the_rate_falls_over_the_words_however_long_paragraphs_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """gensim counts sentences, of which a long paragraph becomes many."""
    from gensim.models import Word2Vec

    monkeypatch.setattr(word2vec, "LONGEST", 50)
    rates: list[float] = []
    alpha = Word2Vec._get_next_alpha

    def watched(self: Word2Vec, progress: float, epoch: int) -> float:
        rates.append(float(alpha(self, progress, epoch)))
        return rates[-1]

    monkeypatch.setattr(Word2Vec, "_get_next_alpha", watched)
    rng = np.random.default_rng(0)
    ids = np.append(rng.integers(0, 30, 60_000), 30).astype(np.uint16)
    counts = np.bincount(ids, minlength=31)[:30].tolist()
    objective = replace(SkipGram(), dimension=8, sample=0.0, epochs=2)
    word2vec.train(ids, [f"w{number}" for number in range(30)], counts, objective, 1, 0, Silent())
    middle = rates[len(rates) // 2]
    assert middle == pytest.approx(objective.learning_rate / 2, rel=0.2)
