"""Causal language models with their own head: the library's scores, one more rung, and clear refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from backbones.tiny import bytelevel, causal, save, tiny
from headstart.backbones.backbone import Backbone
from headstart.backbones.ladder.cutting import check
from headstart.backbones.loaders.load import load
from headstart.backbones.vocabulary import VocabularyHead, has_vocabulary, layer_of
from headstart.core.errors import ModelError


@pytest.fixture(scope="module", params=["llama", "gpt2"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """llama has an output layer of its own, gpt2 one that is tied to its embeddings."""
    return causal(request.param, tmp_path_factory.mktemp(request.param))


def hidden(backbone: Backbone, ids: torch.Tensor) -> torch.Tensor:
    network: Any = backbone.module
    found: torch.Tensor = network(input_ids=ids).last_hidden_state
    return found


def test_scores_are_those_of_the_library(folder: Path) -> None:
    from transformers import AutoModelForCausalLM

    ids = torch.arange(12).reshape(3, 4)
    backbone = load(folder, vocabulary=True)
    with torch.no_grad():
        expected = AutoModelForCausalLM.from_pretrained(folder)(ids).logits
        states = hidden(backbone, ids)
    head = VocabularyHead(backbone)
    assert not list(head.parameters())
    assert torch.allclose(head(states), expected, atol=1e-5)
    flat, targets = states.flatten(0, 1), ids.flatten()
    each = F.cross_entropy(expected.flatten(0, 1), targets, reduction="none")
    assert torch.allclose(head.surprise(flat, targets), each, atol=1e-5)

    def loss(scores: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(scores, targets, reduction="sum")

    assert head.summed(flat, targets, loss).item() == pytest.approx(each.sum().item(), rel=1e-5)
    assert head.surprise(flat[:0], targets[:0]).shape == (0,)


def test_features_and_the_rungs_below_stay_those_of_the_body(folder: Path) -> None:
    plain, whole = load(folder), load(folder, vocabulary=True)
    batch = plain.probes()[0]
    with torch.no_grad():
        assert torch.equal(plain.features(batch), whole.features(batch))
    tied = "gpt2" in folder.name
    names = [rung.name for rung in whole.ladder.rungs]
    assert names == [rung.name for rung in plain.ladder.rungs] + ([] if tied else ["vocabulary"])
    owned = sorted(name for rung in whole.ladder.rungs for name in rung.parameters)
    assert owned == sorted(name for name, _ in whole.module.named_parameters())
    assert has_vocabulary(whole)
    assert not has_vocabulary(plain)
    assert whole.options["vocabulary"]
    assert whole.ladder.sites == plain.ladder.sites, "no adapter is put at the head"
    assert all(check(whole, rung) is None for rung in range(1, len(whole.ladder) + 1))


def test_a_live_network_brings_its_head(folder: Path) -> None:
    from transformers import AutoModelForCausalLM

    network = AutoModelForCausalLM.from_pretrained(folder)
    backbone = load(network, tokenizer=bytelevel(), vocabulary=True)
    assert torch.equal(layer_of(backbone).weight, network.get_output_embeddings().weight)


def test_networks_without_such_a_head_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no causal language model"):
        load(save("bert", tmp_path / "bert"), vocabulary=True)
    with pytest.raises(ModelError, match="no causal language model"):
        load(save("vectors", tmp_path / "vectors"), vocabulary=True)
    with pytest.raises(ModelError, match="capped or scaled"):
        load(causal("gemma2", tmp_path / "gemma2"), vocabulary=True)
    with pytest.raises(ModelError, match=r"lacks weights.*lm_head"):
        load(save("llama", tmp_path / "llama"), vocabulary=True)
    with pytest.raises(ModelError, match="vocabulary=True"):
        VocabularyHead(tiny("llama"))


def test_the_head_does_not_lengthen_a_step_of_frozen_weights(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """A frozen head gets no gradient of its own, which would be as large as the vocabulary."""
    backbone = load(folder, vocabulary=True)
    layer_of(backbone).weight.requires_grad_(False)
    states = torch.randn(300, backbone.dimension, requires_grad=True)
    head, targets = VocabularyHead(backbone), torch.arange(300) % 50

    def loss(scores: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(scores, targets, reduction="sum")

    plain = torch.autograd.grad(loss(head(states), targets), states)[0]
    assert torch.allclose(torch.autograd.grad(head.summed(states, targets, loss), states)[0], plain, atol=1e-5)
    head.summed(states, targets, loss).backward()
    assert layer_of(backbone).weight.grad is None
