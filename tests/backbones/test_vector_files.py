"""Files of word vectors: round trips, gensim's reader and writer, and what breaks off."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from headstart.backbones.loaders.vector_files import FORMATS, is_vector_file, read_file, write_file
from headstart.backbones.networks.word_vectors import WordVectors
from headstart.core.errors import ConfigurationError, ModelError


def some(count: int = 50, dimension: int = 6) -> WordVectors:
    words = ["the", ",", "naïve", "日本", "10", "a-b", *(f"w{number}" for number in range(count - 6))]
    numbers = np.random.default_rng(0).normal(size=(count, dimension)).astype(np.float32)
    numbers[3] = [0, 1, -1e-30, 1e30, 0.1, 3]
    return WordVectors(words, numbers)


def same(one: WordVectors, other: WordVectors) -> bool:
    return one.words == other.words and bool((one.matrix == other.matrix).all())


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("dimension", [1, 6])
def test_what_is_written_is_read_to_the_last_bit(tmp_path: Path, form: str, suffix: str, dimension: int) -> None:
    vectors, path = some(50, 6), tmp_path / f"vectors.vec{suffix}"
    vectors = WordVectors(vectors.words, np.ascontiguousarray(vectors.matrix[:, -dimension:]))
    write_file(vectors, path, form)
    assert same(read_file(path), vectors)
    assert is_vector_file(path)
    assert (path.read_bytes()[:2] == b"\x1f\x8b") == (suffix == ".gz")


@pytest.mark.parametrize("form", FORMATS)
def test_gensim_reads_what_is_written(tmp_path: Path, form: str) -> None:
    from gensim.models import KeyedVectors

    write_file(some(), tmp_path / "vectors", form)
    found = KeyedVectors.load_word2vec_format(
        str(tmp_path / "vectors"), binary=form == "binary", no_header=form == "glove"
    )
    assert same(WordVectors(found.index_to_key, found.vectors), some())


@pytest.mark.parametrize("form", FORMATS)
def test_what_gensim_writes_is_read(tmp_path: Path, form: str) -> None:
    from gensim.models import KeyedVectors

    theirs = KeyedVectors(6)
    theirs.add_vectors(some().words, some().matrix)
    path = str(tmp_path / "vectors.bin")
    theirs.save_word2vec_format(path, binary=form == "binary", write_header=form != "glove", sort_attr="none")
    assert same(read_file(path), some())


def test_the_binary_of_the_authors_program_has_line_ends_and_may_lack_them(tmp_path: Path) -> None:
    rows = some().matrix[:2].tobytes()
    (tmp_path / "vectors.bin").write_bytes(b"2 6\nthe " + rows[:24] + b"of " + rows[24:])
    found = read_file(tmp_path / "vectors.bin")
    assert same(found, WordVectors(["the", "of"], some().matrix[:2]))


def test_repeated_words_are_counted_and_the_first_stays(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("4 2\na 1 2\nb 3 4\na 5 6\na 7 8\n")
    found = read_file(tmp_path / "a.txt")
    assert same(found, WordVectors(["a", "b"], np.array([[1, 2], [3, 4]], np.float32)))
    assert found.repeated == 2


def test_a_word_of_gloves_may_hold_spaces(tmp_path: Path) -> None:
    (tmp_path / "glove.txt").write_text("the 1 2\n. . . 3 4\nat name@domain.com 5 6\n")
    found = read_file(tmp_path / "glove.txt")
    assert found.words == ["the", ". . .", "at name@domain.com"]
    for form in FORMATS:
        with pytest.raises(ConfigurationError, match="'. . .' holds white space"):
            write_file(found, tmp_path / "other.txt", form)
    assert not (tmp_path / "other.txt").exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", ("holds no word vectors",)),
        (b"a 1 2\nb 3\n", ("line 2", "'b 3'", "a word and 2 numbers")),
        (b"a 1 2\nb 3 4 5x\n", ("line 2",)),
        (b"a 1 2\nb 3 x 5\n", ("line 2",)),
        (b"a 1 2\nb 3 nan\n", ("line 2",)),
        (b"a 1 2\n\nb 3 inf\n", ("line 3",)),
        (b"just some text\nof no vectors\n", ("line 1", "just some text")),
        (b"word\n", ("line 1",)),
        (b"3 2\na 1 2\nb 3 4\n", ("says that it holds 3 words, but has 2", "cut short")),
        (b"2 3\na 1 2\nb 3 4\n", ("line 2", "'a 1 2'")),
        (b"2 2\na " + np.float32([1, 2]).tobytes() + b"b " + b"\x00\x00", ("breaks off at word 2 of 2",)),
        (b"1 2\na " + np.float32([1, 2, 3]).tobytes(), ("continues after its 1 words",)),
        (b"9 9\n" + bytes(range(128, 256)) * 90, ("breaks off at word 1 of 9", "fastText")),
    ],
)
def test_what_is_broken_is_told_with_its_place(tmp_path: Path, content: bytes, words: tuple[str, ...]) -> None:
    path = tmp_path / "vectors.txt"
    path.write_bytes(content)
    (tmp_path / "vectors.txt.gz").write_bytes(gzip.compress(content))
    for place in (path, tmp_path / "vectors.txt.gz"):
        with pytest.raises(ModelError) as caught:
            read_file(place)
        assert all(word in str(caught.value) for word in (str(place), *words)), caught.value


def test_a_packed_file_that_is_cut_short(tmp_path: Path) -> None:
    write_file(some(), tmp_path / "v.txt.gz", "text")
    whole = (tmp_path / "v.txt.gz").read_bytes()
    broken = whole[:20] + bytes(byte ^ 255 for byte in whole[20:40]) + whole[40:]
    for content in (whole[: len(whole) // 2], b"no gzip at all", broken):
        (tmp_path / "v.txt.gz").write_bytes(content)
        with pytest.raises(ModelError, match="can't be unpacked"):
            read_file(tmp_path / "v.txt.gz")
    with pytest.raises(ModelError, match="there is no file"):
        read_file(tmp_path / "missing.txt")
