"""Recurrent language models: against PyTorch's own LSTMs, by hand, and that padding changes nothing."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from backbones.tiny import wordpiece
from headstart.backbones.inputs.pooling import pool
from headstart.backbones.loaders import recurrent
from headstart.backbones.loaders.load import load
from headstart.backbones.networks.awd_lstm import AwdLstm, Layer, Shape, Words, locked
from headstart.backbones.networks.elmo import Elmo, reversed_in_time
from headstart.backbones.networks.elmo import Layer as BothWays
from headstart.backbones.tokenizers.lexicon import CHARACTERS, Lexicon
from headstart.core.errors import ConfigurationError, ModelError
from headstart.pretraining.jobs.language import IGNORED
from headstart.pretraining.objectives.awd import AwdLanguageModel
from headstart.pretraining.objectives.elmo import BidirectionalLanguageModel

WORDS = ["the", "cat", "dog", "bird", "house"]


def test_both_ways_is_pytorchs_bidirectional_lstm() -> None:
    torch.manual_seed(0)
    layer = BothWays(6, 9, residual=False)
    theirs = nn.LSTM(6, 9, batch_first=True, proj_size=6, bidirectional=True)
    weights = {f"{name}": p for name, p in layer.forwards.named_parameters()}
    weights |= {f"{name}_reverse": p for name, p in layer.backwards.named_parameters()}
    theirs.load_state_dict(weights)
    hidden = torch.randn(3, 5, 6)
    found = layer(torch.cat([hidden, hidden], -1))
    assert torch.allclose(found, theirs(hidden)[0], atol=1e-6)
    both = BothWays(6, 9, residual=True)
    both.load_state_dict(layer.state_dict())
    state = torch.cat([hidden, hidden], -1)
    assert torch.allclose(both(state), found + state, atol=1e-6)


def test_what_is_turned_round_is_the_words_alone() -> None:
    hidden = torch.arange(8.0).reshape(2, 4, 1)
    mask = torch.tensor([[1, 1, 1, 0], [1, 1, 1, 1]])
    assert reversed_in_time(hidden, mask)[:, :, 0].tolist() == [[2, 1, 0, 3], [7, 6, 5, 4]]


@pytest.mark.parametrize("kind", recurrent.KINDS)
def test_padding_changes_nothing(kind: recurrent.Architecture) -> None:
    tokenizer = Lexicon(WORDS) if kind == "elmo" else wordpiece()
    body = recurrent.new(kind, "tiny", tokenizer, 1.0, 0).module.body.eval()
    ids = torch.tensor([[2, 3, 4], [5, 6, 2]])
    padded = torch.cat([ids, torch.zeros(2, 3, dtype=torch.long)], 1)
    mask = torch.tensor([[1, 1, 1, 0, 0, 0]] * 2)
    assert torch.allclose(body(ids)[0], body(padded, mask)[0][:, :3], atol=1e-6)


def test_the_recurrent_weights_are_dropped_and_their_gradient_is_that_of_those_kept() -> None:
    """An LSTM written out, with the same weights left out."""
    torch.manual_seed(1)
    layer = Layer(4, 3, weights=0.5, after=0.0).train()
    hidden = torch.randn(2, 6, 4)
    torch.manual_seed(5)
    kept = nn.functional.dropout(torch.ones_like(layer.weight_hh_l0), 0.5)
    torch.manual_seed(5)
    found = layer(hidden)
    found.sum().backward()
    mine = {name: p.detach().clone().requires_grad_() for name, p in layer.named_parameters()}
    h, c, out = torch.zeros(2, 3), torch.zeros(2, 3), []
    for t in range(6):
        gates = hidden[:, t] @ mine["weight_ih_l0"].T + mine["bias_ih_l0"] + mine["bias_hh_l0"]
        i, f, g, o = (gates + h @ (mine["weight_hh_l0"] * kept).T).chunk(4, 1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        out.append(h)
    theirs = torch.stack(out, 1)
    assert torch.allclose(found, theirs, atol=1e-5)
    theirs.sum().backward()
    for name, p in layer.named_parameters():
        assert torch.allclose(p.grad, mine[name].grad, atol=1e-5), name
    assert (layer.weight_hh_l0.grad[kept == 0] == 0).all()
    layer.eval()
    assert torch.equal(layer(hidden), layer(hidden))


def test_locked_dropout_is_the_same_at_all_times() -> None:
    torch.manual_seed(0)
    found = locked(torch.ones(50, 7, 20), 0.4, training=True)
    assert torch.equal(found, found[:, :1].expand_as(found))
    assert not torch.equal(found[0], found[1])
    assert found.unique().tolist() == [0.0, pytest.approx(1 / 0.6)]
    assert found.mean() == pytest.approx(1, abs=0.1)
    assert torch.equal(locked(torch.ones(2, 3, 4), 0.4, training=False), torch.ones(2, 3, 4))


def test_a_dropped_word_is_dropped_wherever_it_stands() -> None:
    torch.manual_seed(0)
    words = Words(30, 4, 0.5).train()
    ids = torch.randint(30, (20, 9))
    gone = (words(ids) == 0).all(-1)
    for word in range(30):
        assert gone[ids == word].all() or not gone[ids == word].any()
    assert gone.any()
    assert not gone.all()


def test_embedding_and_head_share_their_weights() -> None:
    module = recurrent.new("awd_lstm", "tiny", wordpiece(), 1.0, 0).module
    assert isinstance(module.body, AwdLstm)
    assert module.head.weight is module.body.embedding.weight
    assert Shape(10).width == 200


def test_activations_that_are_large_or_change_cost() -> None:
    objective = AwdLanguageModel(alpha=2.0, beta=3.0)
    dropped = torch.tensor([[[1.0, 2.0], [3.0, 0.0]]])
    raw = torch.tensor([[[1.0, 1.0], [2.0, 4.0]]])
    assert objective.penalty(dropped, raw).item() == pytest.approx(2 * (1 + 4 + 9) / 4 + 3 * (1 + 9) / 2)


def test_targets_from_both_sides() -> None:
    ids = np.array([[4, 5, 6, 0], [7, 8, 9, 3]])
    text = np.array([[True, True, True, False], [True] * 4])
    _, targets = BidirectionalLanguageModel().prepared(ids, text, np.ones(10, bool), 0, np.random.default_rng(0))
    no = IGNORED
    assert targets.reshape(2, 4, 2)[:, :, 0].tolist() == [[5, 6, no, no], [8, 9, 3, no]]
    assert targets.reshape(2, 4, 2)[:, :, 1].tolist() == [[no, 4, 5, no], [no, 7, 8, 9]]


def test_each_target_is_foretold_by_its_own_side() -> None:
    """What the network says of position t, direction d, is the head on that side's state."""
    module = recurrent.new("elmo", "tiny", Lexicon(WORDS, open=False), 0.0, 0).module.eval()
    ids = torch.tensor([[2, 3, 4, 5]])
    (hidden,) = module.body(ids)
    left, right = hidden.chunk(2, -1)
    logits = module(ids).logits.reshape(1, 4, 2, -1)
    assert torch.allclose(logits[:, :, 0], module.head(left), atol=1e-6)
    assert torch.allclose(logits[:, :, 1], module.head(right), atol=1e-6)
    changed = torch.tensor([[2, 3, 4, 6]])
    after = module(changed).logits.reshape(1, 4, 2, -1)
    assert torch.allclose(after[:, :3, 0], logits[:, :3, 0], atol=1e-6), "the left side does not see what follows"
    assert not torch.allclose(after[:, :3, 1], logits[:, :3, 1], atol=1e-4)


def test_words_that_no_vocabulary_holds_are_read_by_their_characters() -> None:
    lexicon, closed = Lexicon(WORDS), Lexicon(WORDS, open=False)
    known, cats, catz, again = lexicon("The cats catz cats")["input_ids"]
    assert (known, cats) == (2, again)
    assert cats != catz
    assert closed("the cats")["input_ids"] == [2, 1]
    rows = lexicon.characters(torch.tensor([cats, 3]))
    assert rows.shape == (2, CHARACTERS)
    assert rows[0, 1:5].tolist() == [byte + 1 for byte in b"cats"]
    assert rows[1, :4].tolist() == [257, *(byte + 1 for byte in b"cat")]
    other = Lexicon(WORDS)
    assert other("cats")["input_ids"] == [cats], "the same in another process"
    body = recurrent.new("elmo", "tiny", lexicon, 0.0, 0).module.body.eval()
    assert isinstance(body, Elmo)
    one, two = (body(torch.tensor([[2, i]]))[0][0, 1] for i in (cats, catz))
    assert not torch.allclose(one, two)
    assert torch.equal(copy.deepcopy(body)(torch.tensor([[2, cats]]))[0][0, 1], one)
    assert lexicon("Catz")["input_ids"] == [catz], "capitals that were never trained are not read"
    cased = Lexicon([*WORDS, "Paris"])
    assert cased("Catz")["input_ids"] != cased("catz")["input_ids"]
    long = lexicon("x" * 99)["input_ids"]
    assert lexicon.characters(torch.tensor(long))[0, -1] == 258


def test_a_word_is_the_same_whatever_stands_beside_it() -> None:
    """Characters are read as far as the longest word of a batch; what a word is does not hang on it."""
    lexicon = Lexicon(WORDS)
    short, long, longest = lexicon("cat internationalisation " + "x" * 60)["input_ids"]
    words = recurrent.new("elmo", "tiny", lexicon, 0.0, 0).module.body.characters.eval()
    with torch.no_grad():
        beside = words(torch.tensor([[short, long, longest]]))[0]
        alone = [words(torch.tensor([[i]]))[0, 0] for i in (short, long, longest)]
        letters = words.embedding(lexicon.characters(torch.tensor([short]))).transpose(1, 2)  # all 50, as spelled
        whole = torch.cat([one(letters).relu().amax(2) for one in words.filters], 1)
        gate = torch.sigmoid(words.gate(whole))
        whole = words.projection(gate * words.carried(whole).relu() + (1 - gate) * whole)[0]
    assert torch.allclose(beside, torch.stack(alone), atol=1e-5)
    assert torch.allclose(alone[0], whole, atol=1e-5)


def test_concat_pooling_by_hand() -> None:
    hidden = torch.tensor([[[1.0, 5.0], [3.0, 2.0], [9.0, 9.0]]])
    mask = torch.tensor([[1, 1, 0]])
    assert pool(hidden, mask, "concat").tolist() == [[2.0, 3.5, 3.0, 5.0, 3.0, 2.0]]


@pytest.mark.parametrize("kind", recurrent.KINDS)
def test_a_folder_gives_what_was_saved(tmp_path: Path, kind: recurrent.Architecture) -> None:
    tokenizer = Lexicon(WORDS, open=False) if kind == "elmo" else wordpiece()
    made = recurrent.new(kind, "tiny", tokenizer, 0.7, 3)
    made.save(tmp_path, tokenizer, half=False)
    ids = torch.tensor([[2, 3, 4]])
    expected = made.module.eval()(ids).logits
    again, _ = recurrent.existing(kind, str(tmp_path), 0.7)
    assert torch.allclose(again.module.eval()(ids).logits, expected, atol=1e-6)
    backbone = load(tmp_path)
    assert torch.allclose(backbone.module(ids)[0], made.module.body(ids)[0], atol=1e-6)
    names = [rung.name for rung in backbone.ladder.rungs]
    assert [name for name in names if name.startswith("layers")] == [f"layers.{i}" for i in range(2)]
    assert backbone.dimension == (3 * 64 if kind == "awd_lstm" else 64)
    with pytest.raises(ModelError, match="no folder of such a model"):
        recurrent.existing("elmo" if kind == "awd_lstm" else "awd_lstm", str(tmp_path), 1.0)
    (tmp_path / "config.json").write_text((tmp_path / "config.json").read_text().replace('"layers": 2', '"layers": 3'))
    with pytest.raises(ModelError, match="do not fit"):
        load(tmp_path)
    if kind == "awd_lstm":
        config = json.loads((tmp_path / "config.json").read_text()) | {"layers": 2, "vocabulary": 3}
        (tmp_path / "config.json").write_text(json.dumps(config))
        with pytest.raises(ModelError, match="do not belong together"):
            recurrent.existing(kind, str(tmp_path), 1.0)
    config = json.loads((tmp_path / "config.json").read_text()) | {"width": "wide"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    for read in (load, lambda folder: recurrent.existing(kind, str(folder), 1.0)):
        with pytest.raises(ModelError, match="is no configuration of"):
            read(tmp_path)


def test_sizes_that_do_not_exist() -> None:
    with pytest.raises(ConfigurationError, match="Did you mean 'mini'"):
        recurrent.new("elmo", "mni", Lexicon(WORDS), 1.0, 0)
