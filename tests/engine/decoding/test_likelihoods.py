"""Likelihoods of choices equal those of whole texts read one by one."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from engine.decoding.tiny import NAMES, causal, network_of, prompts_of
from headstart.core.errors import ConfigurationError, ModelError
from headstart.engine.decoding.likelihoods import _paths, likelihoods, shared_length

CHOICES = [[5], [5, 6], [5, 6, 7], [5, 8], [9, 10, 11], [12]]
"choices that begin alike, one that another begins with, and two of one token"


@torch.no_grad()
def whole(model: Any, prompt: list[int], choice: list[int]) -> float:
    log_p = model(torch.tensor([prompt + choice])).logits[0].log_softmax(-1)
    return sum(float(log_p[len(prompt) + j - 1, token]) for j, token in enumerate(choice))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shared", [0, 9])
def test_equal_to_whole_forwards(name: str, shared: int) -> None:
    model = causal(name)
    prompts = prompts_of((10, 14, 10, 23, 11), shared)
    choices = [CHOICES, CHOICES[:1], CHOICES, [[1, 2, 3, 4], [1, 2, 3, 4]], []]
    for tokens in (1, 30, 1000):
        found = likelihoods(network_of(model), prompts, choices, tokens)
        assert [[each.tokens for each in row] for row in found] == [[len(c) for c in own] for own in choices]
        for prompt, own, row in zip(prompts, choices, found):
            assert [each.log_p for each in row] == pytest.approx([whole(model, prompt, c) for c in own], abs=1e-9)


def test_what_prompts_share_is_read_once() -> None:
    model = causal("llama")
    network = network_of(model)
    prompts, read = prompts_of((20, 22, 21), 18), []
    handle = model.base_model.register_forward_pre_hook(
        lambda _, args, kwargs: read.append(tuple(kwargs["input_ids"].shape)), with_kwargs=True
    )
    likelihoods(network, prompts, [[[5], [6]]] * 3)
    assert read == [(1, 18), (3, 4)], "choices of one token are read from the last scores"
    read.clear()
    likelihoods(network, prompts, [[[5, 1], [5, 2], [6]]] * 3)
    assert read == [(1, 18), (3, 4), (1, 1), (1, 1), (1, 1)], "equal beginnings once"
    handle.remove()


def test_what_is_shared_leaves_a_token_to_each() -> None:
    assert shared_length([[1, 2, 3], [1, 2, 4, 5]]) == 2
    assert shared_length([[1, 2], [1, 2, 4]]) == 1
    assert shared_length([[1, 2], [1, 2]]) == 1
    assert shared_length([[1, 2]]) == shared_length([]) == shared_length([[1], [2]]) == 0


def test_beginnings_that_another_covers_are_not_read() -> None:
    assert _paths(CHOICES) == [(5, 6), (9, 10)]
    assert _paths([[1], [2]]) == []


def test_bytes_are_those_of_the_text_without_blanks() -> None:
    network = network_of(causal("llama"))
    ids = network.tokenizer.encode(" ähm", add_special_tokens=False)
    found = likelihoods(network, [[1, 2]], [[ids]])[0][0]
    assert (found.bytes, found.tokens) == (4, 5)


def test_mistakes_are_named() -> None:
    network = network_of(causal("gpt2"))
    with pytest.raises(ConfigurationError, match="2 prompts have 1 lists"):
        likelihoods(network, [[1], [2]], [[[3]]])
    with pytest.raises(ConfigurationError, match="prompt has no tokens"):
        likelihoods(network, [[1], []], [[[3]]] * 2)
    with pytest.raises(ConfigurationError, match="choice has no tokens"):
        likelihoods(network, [[1]], [[[3], []]])
    with pytest.raises(ConfigurationError, match="62 tokens and an answer of up to 3 .* 64 tokens"):
        likelihoods(network, prompts_of((62,)), [[[3] * 4]])
    assert likelihoods(network, prompts_of((62,)), [[[3] * 3]])
    assert likelihoods(network, [], []) == []


def test_networks_that_keep_no_keys_and_values_are_refused() -> None:
    with pytest.raises(ModelError, match="can't be read in parts|no KV cache"):
        network_of(causal("mamba"))


def test_modes_and_gradients_are_as_before() -> None:
    model = causal("llama").train()
    likelihoods(network_of(model), [[1, 2]], [[[3]]])
    assert model.base_model.training
    assert torch.is_grad_enabled()
