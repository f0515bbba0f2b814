"""Weights in bf16 are converted once, and change nothing about autocast's results."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from engine.decoding.tiny import causal, network_of, prompts_of
from headstart.engine.decoding.decoder import Decoder
from headstart.engine.decoding.halves import Halves
from headstart.engine.decoding.network import Network
from headstart.engine.decoding.request import Request
from headstart.engine.machine.precision import Compute

BF16 = Compute(torch.device("cpu"), True)


@pytest.mark.parametrize(("name", "layers"), [("llama", 2 * 7 + 1), ("gpt2", 2 * 4 + 1)])
def test_equal_to_autocast(name: str, layers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    network = dataclasses.replace(network_of(causal(name, torch.float32)), compute=BF16)
    ids = torch.tensor(prompts_of((6, 6)))
    with network.reading():
        found = network.scores(network.body(input_ids=ids).last_hidden_state[0])
    assert len(network._halves.kept) == layers, "every layer and the head"
    with BF16.autocast(), torch.no_grad():
        assert torch.equal(found, network.head(network.body(input_ids=ids).last_hidden_state[0]).float())
    requests = [Request(prompt, 9) for prompt in prompts_of((5, 9, 2))]
    answers = Decoder(network, 2).answers(requests)
    monkeypatch.setattr(Network, "_halves", torch.no_grad())
    assert Decoder(dataclasses.replace(network), 2).answers(requests) == answers


def test_weights_that_change_are_converted_again() -> None:
    layer, halves, x = torch.nn.Linear(4, 4, bias=False), Halves(), torch.randn(2, 4)
    with torch.no_grad(), BF16.autocast(), halves:
        before = layer(x)
        first = halves.kept[id(layer.weight)][2]
        assert torch.equal(layer(x), before)
        assert halves.kept[id(layer.weight)][2] is first
        layer.weight.mul_(2)
        assert torch.equal(layer(x), 2 * before)
