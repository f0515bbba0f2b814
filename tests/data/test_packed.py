"""A packed corpus: what was written is there, and an epoch shows each piece once, in batches that fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.data.corpus import held_out
from headstart.data.corpus import packed as packed_module
from headstart.data.corpus.packed import Packed, Pieces, pack

SEPARATOR = 9


def written(folder: Path, paragraphs: list[list[int]], length: int, joined: bool, vocabulary: int = 1000) -> Packed:
    half = len(paragraphs) // 2
    tokens = pack(folder / "tokens", [paragraphs[:half], paragraphs[half:]], SEPARATOR, vocabulary)
    assert tokens == sum(map(len, paragraphs))
    return Packed(folder / "tokens", length, joined)


def texts(corpus: Packed, pieces: Pieces) -> list[list[int]]:
    return [corpus.ids[a : a + n].tolist() for a, n in zip(pieces.starts, pieces.lengths)]


def made(count: int, seed: int = 0) -> list[list[int]]:
    rng = np.random.default_rng(seed)
    return [rng.integers(10, 1000, size=rng.integers(1, 40)).tolist() for _ in range(count)]


@pytest.mark.parametrize(("vocabulary", "width"), [(1000, 2), (70_000, 4)])
def test_the_stream_is_each_paragraph_and_a_separator(tmp_path: Path, vocabulary: int, width: int) -> None:
    corpus = written(tmp_path, [[1, 2], [3], [4, 5, 6], [vocabulary - 1]], 8, False, vocabulary)
    assert corpus.ids.tolist() == [1, 2, 9, 3, 9, 4, 5, 6, 9, vocabulary - 1, 9]
    assert corpus.ids.dtype.itemsize == width
    whole = corpus.paragraphs(np.array([0, 2, 3]))
    assert texts(corpus, whole) == [[1, 2], [4, 5, 6], [vocabulary - 1]]
    assert corpus.following(whole.starts).tolist() == [1, 3, 0]


@settings(max_examples=20, deadline=None)
@given(count=st.integers(60, 400), length=st.integers(3, 50), tokens=st.integers(60, 500), seed=st.integers(0, 9))
def test_an_epoch_shows_every_token_once(
    tmp_path_factory: pytest.TempPathFactory, count: int, length: int, tokens: int, seed: int
) -> None:
    paragraphs = made(count, seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packed_module, "BLOCK", 97)  # several blocks
        corpus = written(tmp_path_factory.mktemp("corpus"), paragraphs, length, False)
        batches = list(corpus.batches(tokens, 2, seed, epoch=3))
        assert len(batches) == corpus.count(tokens, 2)
        assert all(len(b) == 1 or len(b) * (b.lengths.max() + 2) <= tokens for b in batches)
        assert max(b.lengths.max() for b in batches) <= length
        seen = sorted(tuple(text) for b in batches for text in texts(corpus, b))
        held = [tuple(text) for text in texts(corpus, corpus.held_out)]
    cut = [tuple(p[at : at + length]) for p in paragraphs for at in range(0, len(p), length)]
    assert sorted(seen + held) == sorted(cut)
    assert len(held) > 0


def test_windows_cover_the_stream_between_held_out_paragraphs(tmp_path: Path) -> None:
    paragraphs = made(300)
    corpus = written(tmp_path, paragraphs, 16, joined=True)
    held = [tuple(text) for text in texts(corpus, corpus.held_out)]
    batches = list(corpus.batches(64, 0, 0, epoch=0))
    seen = np.concatenate([np.arange(a, a + n) for b in batches for a, n in zip(b.starts, b.lengths)])
    assert len(seen) == len(set(seen))
    left = np.setdiff1d(np.arange(len(corpus.ids)), seen)
    missed = [id for text in held for id in text]
    assert 0 <= len(left) - len(missed) <= len(held) + 1  # one id alone teaches nothing
    assert all(len(b) * b.lengths.max() <= 64 for b in batches)
    assert {tuple(text) for b in batches for text in texts(corpus, b)}.isdisjoint(held)


def test_of_few_paragraphs_windows_are_held_out_by_place(tmp_path: Path) -> None:
    book = np.random.default_rng(0).integers(10, 1000, size=5000).tolist()
    corpus = written(tmp_path, [[7], book], 16, joined=True)
    seen = np.concatenate([b.starts for b in corpus.batches(64, 0, 0, epoch=0)] + [corpus.held_out.starts])
    assert sorted(seen) == list(range(0, len(corpus.ids) - 1, 16))
    assert len(corpus.held_out) == 10


@pytest.mark.parametrize("joined", [False, True])
def test_all_copies_of_a_paragraph_are_held_out(tmp_path: Path, joined: bool) -> None:
    once = made(400)
    first, twice = (
        written(tmp_path / name, corpus, 64, joined) for name, corpus in (("a", once), ("b", once * 2 + [[7, 7]] * 500))
    )
    held = [{tuple(text) for text in texts(corpus, corpus.held_out)} for corpus in (first, twice)]
    assert len(first.held_out) == pytest.approx(10, abs=1)
    assert held[0] <= held[1] or held[1] <= held[0], "the same texts, whatever stands beside them"
    assert (7, 7) not in held[1], "a text that is everywhere is trained on"
    assert len(twice.held_out) == 2 * len(held[1])
    for corpus, mine in zip((first, twice), held):
        stream = [tuple(text) for b in corpus.batches(200, 0, 0, 0) for text in texts(corpus, b)]
        assert mine.isdisjoint(stream)


def test_a_large_corpus_is_looked_at_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held_out, "LOOKED_AT", 500)
    corpus = written(tmp_path, made(3000), 16, False)
    assert 30 <= len(np.unique(np.searchsorted(corpus.ends, corpus.held_out.starts, side="right"))) <= 90  # about 60


def test_epochs_differ_and_repeat(tmp_path: Path) -> None:
    corpus = written(tmp_path, made(300), 16, False)

    def order(epoch: int) -> list[list[int]]:
        return [b.starts.tolist() for b in corpus.batches(100, 2, 5, epoch)]

    assert order(0) == order(0)
    assert order(0) != order(1)
    lengths = [b.lengths for b in corpus.batches(100, 2, 5, 0)]
    assert np.mean([n.max() - n.min() for n in lengths]) < 1  # like lengths together


def test_blocks_are_fair_samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A corpus sorted by source is not trained on source by source."""
    monkeypatch.setattr(packed_module, "BLOCK", 100)
    corpus = written(tmp_path, [[10, i] for i in range(500)] + [[20, i] for i in range(500)], 8, False)
    assert corpus.blocks == 10
    for block in range(corpus.blocks):
        first = [text[0] for text in texts(corpus, corpus._block(block))]
        assert 0.4 < np.mean(np.equal(first, 10)) < 0.6
