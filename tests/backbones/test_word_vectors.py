"""Neighbours and analogies: by hand, and against gensim's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from headstart.backbones.networks.word_vectors import Section, WordVectors, total
from headstart.core.errors import ConfigurationError, DataError


def plane() -> WordVectors:
    """Vectors at angles and of different lengths, which a cosine does not see."""
    angles = {"east": 0, "northeast": 45, "north": 90, "west": 180, "northwest": 135}
    rows = [np.array([np.cos(np.deg2rad(a)), np.sin(np.deg2rad(a))]) * (1 + n) for n, a in enumerate(angles.values())]
    return WordVectors(list(angles), np.array(rows, dtype=np.float32))


def test_neighbours_are_those_of_the_highest_cosine() -> None:
    found = plane().nearest("east", 2)
    assert [word for word, _ in found] == ["northeast", "north"]
    assert [cosine for _, cosine in found] == pytest.approx([np.sqrt(0.5), 0.0], abs=1e-6)
    assert len(plane().nearest("EAST", 100)) == 4  # as a word of lower case; never the word itself


def test_an_analogy_by_hand() -> None:
    """east is to north as north is to …: north - east + north = (-1, 2) points to 116.6 degrees."""
    found = plane().analogy("east", "north", "north", 2)
    assert [word for word, _ in found] == ["northwest", "west"]
    assert found[0][1] == pytest.approx(3 / np.sqrt(10), abs=1e-6)


def test_unknown_words_are_told_with_near_ones() -> None:
    with pytest.raises(ConfigurationError, match=r"'noth' has no vector among these 5 words. Did you mean 'north'"):
        plane().nearest("noth")


def made(count: int = 60) -> tuple[WordVectors, list[str]]:
    words = [f"word{number}" for number in range(count)]
    rng = np.random.default_rng(0)
    base = rng.normal(size=(count // 2, 8))
    shift = rng.normal(size=8)
    vectors = np.stack([base, base + shift + 0.25 * rng.normal(size=base.shape)], 1).reshape(count, 8)
    lines = []
    for section in ("first", "gram second"):
        lines.append(f": {section}")
        for _ in range(150):
            a, b = rng.integers(0, count // 2 + 3, 2)  # some words are unknown
            lines.append(f"Word{2 * a} WORD{2 * a + 1} word{2 * b} word{2 * b + 1}")
    return WordVectors(words, vectors.astype(np.float32)), lines


@pytest.mark.parametrize("restrict", [None, 40])
def test_the_benchmark_counts_as_gensim_does(tmp_path: Path, restrict: int | None) -> None:
    from gensim.models import KeyedVectors

    vectors, lines = made()
    (tmp_path / "questions.txt").write_text("\n".join(lines), encoding="utf-8")
    theirs = KeyedVectors(8)
    theirs.add_vectors(vectors.words, vectors.matrix)
    _, wanted = theirs.evaluate_word_analogies(str(tmp_path / "questions.txt"), restrict_vocab=restrict or 300_000)
    found = vectors.benchmark(tmp_path / "questions.txt", restrict)
    told = [(one.name, one.right, one.asked) for one in [*found, total(found, "Total accuracy")]]
    assert told == [
        (one["section"], len(one["correct"]), len(one["correct"]) + len(one["incorrect"])) for one in wanted
    ]
    assert 0 < told[0][1] < told[0][2]
    assert [one.asked + one.skipped for one in found] == [150, 150]
    assert min(one.skipped for one in found) > 0


def test_forms_of_a_word_are_one_to_the_benchmark(tmp_path: Path) -> None:
    """The first of `North` and `north` answers; where the second is nearer, that is right too."""
    angles = np.deg2rad([0, 45, 95, 135, 90.0])
    matrix = np.stack([np.cos(angles), np.sin(angles)], 1).astype(np.float32)
    vectors = WordVectors(["east", "northeast", "North", "northwest", "north"], matrix)
    (tmp_path / "questions.txt").write_text(": turns\neast northeast northeast NORTH\n")
    assert vectors.benchmark(tmp_path / "questions.txt") == [Section("turns", 1, 1, 0)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, ("there is no file", "questions-words.txt")),
        ("", ("holds no analogies",)),
        ("a b c d\n", ("line 1", "'a b c d' is no analogy")),
        (": one\na b c d\na b c\n", ("line 3", "'a b c' is no analogy")),
    ],
)
def test_what_is_no_file_of_analogies(tmp_path: Path, text: str | None, words: tuple[str, ...]) -> None:
    if text is not None:
        (tmp_path / "questions.txt").write_text(text)
    with pytest.raises(DataError) as caught:
        plane().benchmark(tmp_path / "questions.txt")
    assert all(word in str(caught.value) for word in words)
