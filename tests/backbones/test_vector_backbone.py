"""Word vectors as a backbone: its output by hand, words that it does not know, padding, and its folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from headstart.backbones.loaders.load import load
from headstart.backbones.loaders.vector_backbone import BiLSTM, read_vectors, write_folder
from headstart.backbones.loaders.vector_files import write_file
from headstart.backbones.networks.word_vectors import WordVectors
from headstart.backbones.tokenizers.subwords import cut, piece_vectors, pieces_of
from headstart.backbones.tokenizers.words import WordTokenizer, counted, words_of
from headstart.core.errors import ModelError

WORDS = ["the", "cat", "sat", "walking", "talking", "making", "taking", "baking", "Berlin", "don't", "well"]


def vectors() -> WordVectors:
    return WordVectors(WORDS, np.random.default_rng(0).normal(size=(len(WORDS), 4)).astype(np.float32))


def folder(place: Path, **settings: Any) -> Path:
    place.mkdir()
    write_folder(place, vectors(), **settings)
    return place


def features(backbone: Any, *texts: str) -> np.ndarray:
    with torch.no_grad():
        return backbone.features(backbone.preparation.collate(backbone.preparation.encode(texts))).numpy()


def test_words_are_counted_in_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the bound the rarest go; what is frequent keeps its count."""
    lines = [f"the the cat w{i} W{i} x{i}" for i in range(50)]
    counts, total = counted(lines, lowercase=True)
    assert counts == {"the": 100, "cat": 50} | {f"w{i}": 2 for i in range(50)} | {f"x{i}": 1 for i in range(50)}
    assert total == 300
    monkeypatch.setattr("headstart.backbones.tokenizers.words.MOST", 20)
    counts, total = counted(lines, lowercase=True)
    assert (counts["the"], counts["cat"], total) == (100, 50, 300)
    assert len(counts) <= 20


def test_vectors_that_are_no_numbers_are_not_written(tmp_path: Path) -> None:
    broken = vectors()
    broken.matrix[3, 1] = np.nan
    broken.matrix[4] = np.inf
    with pytest.raises(ModelError, match="2 of the 11 vectors, 'walking' for one"):
        write_folder(tmp_path, broken)
    assert not list(tmp_path.iterdir())


def test_words_are_runs_of_letters_with_what_joins_them() -> None:
    text = "Don't STOP: the well-known 3rd naïve_way — it’s 'quoted' - e.g. 日本語 -x- 3.5%"
    assert words_of(text, lowercase=True) == [
        "don't", "stop", "the", "well-known", "3rd", "naïve_way", "it’s", "quoted", "e", "g", "日本語", "x", "3", "5"
    ]  # fmt: skip
    assert words_of("Don't STOP") == ["Don't", "STOP"]


def test_a_text_is_the_mean_of_its_words(tmp_path: Path) -> None:
    backbone = load(folder(tmp_path / "v"))
    row = dict(zip(WORDS, vectors().matrix))
    found = features(backbone, "The cat sat.", "the Berlin DON'T", "cat")
    wanted = [row["the"] + row["cat"] + row["sat"], row["the"] + row["Berlin"] + row["don't"], 3 * row["cat"]]
    np.testing.assert_allclose(found, np.array(wanted) / 3, atol=1e-6)


def test_words_that_are_unknown(tmp_path: Path) -> None:
    """`king>` ends five words, so that it has their mean; of joined words the parts are known."""
    backbone = load(folder(tmp_path / "v"))
    row = dict(zip(WORDS, vectors().matrix))
    doing = [word for word in WORDS if word.endswith("king")]
    assert len(doing) == 5
    mean = np.mean([row[word] for word in doing], 0)
    assert list(cut("joking", pieces_of(WORDS))) == ["king>"]
    found = features(backbone, "joking", "well-cat", "xyz", "?!")
    wanted = [mean, (row["well"] + row["cat"]) / 2, vectors().matrix.mean(0), vectors().matrix.mean(0)]
    np.testing.assert_allclose(found, wanted, atol=1e-6)
    shared = load(folder(tmp_path / "s", how="shared"))
    np.testing.assert_allclose(features(shared, "joking", "xyz"), [wanted[2]] * 2, atol=1e-6)
    assert shared.parameters == (len(WORDS) + 1) * 4


def test_pieces_are_the_longest_that_follow_on_one_another() -> None:
    pieces = {"<un", "<unb", "able>", "ble>", "eak"}
    assert list(cut("unbreakable", pieces)) == ["<unb", "eak", "able>"]
    words = ["aab", "aac", "aad", "aae", "aaf", "aag", "b"]
    assert pieces_of(words) == ["<aa"]
    np.testing.assert_allclose(piece_vectors(["<aa"], words, np.arange(14.0).reshape(7, 2)), [[5, 6]])
    assert piece_vectors([], words, np.zeros((7, 2), np.float32)).shape == (0, 2)


def test_a_long_text_is_cut(tmp_path: Path) -> None:
    backbone = load(folder(tmp_path / "v"), max_length=2)
    np.testing.assert_allclose(features(backbone, "the cat sat"), features(backbone, "the cat"))
    assert WordTokenizer(WORDS)("the cat sat")["input_ids"] == [0, 1, 2]


def test_pairs_are_one_text_after_the_other(tmp_path: Path) -> None:
    preparation = load(folder(tmp_path / "v")).preparation
    (found,) = preparation.encode([("the cat", "sat")])
    assert found["input_ids"].tolist() == [0, 1, 2]


def test_a_bilstm_never_reads_padding(tmp_path: Path) -> None:
    backbone = load(folder(tmp_path / "v", bilstm=3))
    texts = ("the cat sat walking", "cat", "making the")
    together = features(backbone, *texts)
    assert together.shape == (3, 6)
    assert backbone.kind == "recurrent"
    for text, found in zip(texts, together):
        np.testing.assert_allclose(features(backbone, text)[0], found, atol=1e-6)


def test_a_bilstm_is_torchs_own(tmp_path: Path) -> None:
    torch.manual_seed(0)
    layer, plain = BiLSTM(4, 3), torch.nn.LSTM(4, 3, batch_first=True, bidirectional=True)
    plain.load_state_dict(layer.state_dict())
    hidden, mask = torch.randn(2, 5, 4), torch.tensor([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0]])
    found = layer(hidden, mask)
    torch.testing.assert_close(found[0], plain(hidden[:1])[0][0])
    torch.testing.assert_close(found[1, :2], plain(hidden[1:, :2])[0][0])
    assert not found[1, 2:].any()
    torch.testing.assert_close(layer(hidden), plain(hidden)[0])


def test_the_ladder(tmp_path: Path) -> None:
    assert [rung.name for rung in load(folder(tmp_path / "v")).ladder.rungs] == ["embedding"]
    backbone = load(folder(tmp_path / "b", bilstm=3))
    assert [rung.name for rung in backbone.ladder.rungs] == ["embedding", "bilstm"]
    assert {site.kind for site in backbone.ladder.sites} == {"embedding", "recurrent"}


def test_a_step_touches_the_rows_of_its_words(tmp_path: Path) -> None:
    from headstart.engine.optim.rows import row_gradients

    words = [f"w{number}" for number in range(5000)]
    (tmp_path / "v").mkdir()
    write_folder(tmp_path / "v", WordVectors(words, np.ones((5000, 2), np.float32)), "shared", bilstm=2)
    backbone = load(tmp_path / "v")
    batch = backbone.preparation.collate(backbone.preparation.encode(["w7 w4999 w7", "unheard"]))
    with row_gradients(backbone.module, {"embedding.weight"}):
        backbone.features(batch).sum().backward()
    gradient = backbone.module.embedding.weight.grad.coalesce()
    assert set(gradient.indices()[0].tolist()) == {7, 4999, 5000}


def test_the_folder_comes_back(tmp_path: Path) -> None:
    place = folder(tmp_path / "v", bilstm=3, seed=1)
    found = read_vectors(place)
    assert (found.words, found.matrix.tolist()) == (WORDS, vectors().matrix.tolist())
    weights, other = load_file(place / "model.safetensors"), folder(tmp_path / "w", bilstm=3, seed=2)
    assert (weights["bilstm.weight_ih_l0"] != load_file(other / "model.safetensors")["bilstm.weight_ih_l0"]).any()
    half = read_vectors(folder(tmp_path / "h", half=True))
    np.testing.assert_allclose(half.matrix, vectors().matrix, rtol=1e-2)
    assert (tmp_path / "h" / "model.safetensors").stat().st_size < (tmp_path / "w" / "model.safetensors").stat().st_size
    fresh = load(place, weights=False)
    assert (fresh.module.embedding.weight != load(place).module.embedding.weight).all()


def test_a_file_is_a_backbone_too(tmp_path: Path) -> None:
    write_file(vectors(), tmp_path / "some.vec.gz", "text")
    found, wanted = load(tmp_path / "some.vec.gz"), load(folder(tmp_path / "v"))
    assert found.fingerprint == wanted.fingerprint
    assert found.preparation.to_json() == wanted.preparation.to_json()
    np.testing.assert_array_equal(features(found, "the joking cat"), features(wanted, "the joking cat"))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda place: (place / "words.txt").unlink(), ("words.txt is missing",)),
        (lambda place: (place / "words.txt").write_text("one\ntwo\n"), ("do not fit", "embedding.weight")),
        (lambda place: (place / "model.safetensors").unlink(), ("no weights",)),
        (lambda place: (place / "config.json").write_text(json.dumps({"kind": "word_vectors"})), ("dimension",)),
    ],
)
def test_a_broken_folder(tmp_path: Path, spoil: Any, words: tuple[str, ...]) -> None:
    place = folder(tmp_path / "v")
    spoil(place)
    for read in (load, read_vectors):
        with pytest.raises(ModelError) as caught:
            read(place)
        assert all(word in str(caught.value) for word in words)
