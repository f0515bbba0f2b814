"""Answers equal those of transformers' generate one by one, whatever else is in the batch."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch

from engine.decoding.tiny import NAMES, causal, network_of, prompts_of
from headstart.core.errors import ConfigurationError
from headstart.engine.decoding.decoder import Decoder
from headstart.engine.decoding.likelihoods import likelihoods
from headstart.engine.decoding.request import Answer, Request
from headstart.engine.machine.precision import Compute

LENGTHS = (3, 17, 1, 9, 9, 30, 4, 12)


@torch.no_grad()
def generated(model: Any, prompt: list[int], most: int, **settings: Any) -> list[int]:
    ids = torch.tensor([prompt])
    settings = {"do_sample": False, "pad_token_id": 0, **settings}
    found = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=most, **settings)
    return found[0, len(prompt) :].tolist()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shared", [0, 6])
def test_equal_to_generate_one_by_one(name: str, shared: int) -> None:
    """Ragged prompts and answers, so that rows join and leave; answers longer than the spare columns of the buffers."""
    model = causal(name)
    prompts = prompts_of(tuple(shared + n for n in LENGTHS), shared)
    most = [5, 20, 1, 33, 2, 20, 30, 11]
    wanted = [generated(model, prompt, n, eos_token_id=7) for prompt, n in zip(prompts, most)]
    requests = [Request(prompt, n, stop_ids=[7]) for prompt, n in zip(prompts, most)]
    for rows in (1, 3, 16):
        answers = Decoder(network_of(model), rows).answers(requests)
        assert [list(answer.ids) for answer in answers] == wanted
        assert [answer.tokens_in for answer in answers] == [len(prompt) for prompt in prompts]
        assert [answer.ended for answer in answers] == ["stop" if ids[-1] == 7 else "length" for ids in wanted]


def test_rows_that_outgrow_their_buffers() -> None:
    model = causal("llama", positions=400)
    requests = [Request(prompt, n) for prompt, n in zip(prompts_of((2, 50, 5)), (200, 20, 140))]
    wanted = [generated(model, list(r.prompt), r.max_tokens, eos_token_id=None) for r in requests]
    decoder = Decoder(network_of(model), 2)
    assert [list(answer.ids) for answer in decoder.answers(requests)] == wanted
    assert decoder.held == 0


def test_the_order_of_joining_changes_nothing() -> None:
    """Requests added while others are on their way, in fp32."""
    network = network_of(causal("llama", torch.float32))
    requests = [Request(prompt, 12) for prompt in prompts_of(LENGTHS)]
    wanted = [Decoder(network, 1).answers([request])[0] for request in requests]
    decoder, found, waiting = Decoder(network, 4), dict[int, Answer](), list(reversed(requests))
    while waiting or decoder.busy:
        if waiting:
            decoder.add(waiting.pop(0))
        found |= {piece.number: piece.answer for piece in decoder.step() if piece.answer}
    assert [found[number] for number in sorted(found)] == wanted[::-1]


def test_memory_is_bounded() -> None:
    network = network_of(causal("llama"))
    requests = [Request(prompt, 20) for prompt in prompts_of(LENGTHS)]
    wanted = Decoder(network).answers(requests)
    decoder, most_held, most_live = Decoder(network, 8, most_tokens=101), 0, 0
    found = dict[int, Answer]()
    for request in requests:
        decoder.add(request)
    while decoder.busy:
        found |= {piece.number: piece.answer for piece in decoder.step() if piece.answer}
        most_held, most_live = max(most_held, decoder.held), max(most_live, len(decoder._live))
    assert [found[number] for number in range(len(requests))] == wanted
    assert 50 < most_held <= 101
    assert most_live == 3
    with pytest.raises(ConfigurationError, match="30 tokens with an answer of up to 20 needs room for 50 .* 49"):
        Decoder(network, 8, most_tokens=49).answers(requests)


def test_what_prompts_share_is_read_once() -> None:
    model = causal("llama")
    network, read = network_of(model), []
    model.base_model.register_forward_pre_hook(
        lambda _, args, kwargs: read.append(tuple(kwargs["input_ids"].shape)), with_kwargs=True
    )
    decoder = Decoder(network, 2)
    decoder.answers([Request(prompt, 2) for prompt in prompts_of((20, 22, 21), 18)])
    assert read == [(1, 18), (2, 4), (2, 1), (1, 3), (1, 1)]
    read.clear()
    decoder.answers([Request(prompt, 1) for prompt in prompts_of((20, 22, 21), 18)])
    assert read == [(2, 4), (1, 3)], "and kept for the next requests"
    read.clear()
    decoder.add(Request(prompts_of((18,), 18)[0], 1))
    decoder.step()
    assert read == [(1, 18)], "a prompt that does not go on after what is shared is read whole"


def test_in_bf16_keys_and_values_take_half_the_memory() -> None:
    exact = network_of(causal("llama", torch.float32))
    network = dataclasses.replace(exact, compute=Compute(torch.device("cpu"), True))
    decoder = Decoder(network, 2)
    for prompt in prompts_of((5, 9)):
        decoder.add(Request(prompt, 9))
    decoder.step()
    assert {part.dtype for pair in decoder._rows.buffers for part in pair} == {torch.bfloat16}
    prompts, choices = prompts_of((9, 12), 4), [[[5], [6, 7]]] * 2
    pairs = zip(likelihoods(network, prompts, choices), likelihoods(exact, prompts, choices))
    gaps = [abs(a.log_p - b.log_p) for ours, wanted in pairs for a, b in zip(ours, wanted)]
    assert 0 < max(gaps) < 0.3


def test_draws_depend_on_the_request_alone() -> None:
    network = network_of(causal("llama"))
    prompts = prompts_of((5, 9, 5, 7))
    requests = [Request(prompt, 15, temperature=0.8, top_p=0.9, seed=seed) for seed, prompt in enumerate(prompts)]
    requests.append(Request(prompts[0], 15))
    alone = [Decoder(network).answers([request])[0] for request in requests]
    assert Decoder(network, 3).answers(requests) == alone
    other = Decoder(network).answers([Request(prompts[0], 15, temperature=0.8, top_p=0.9, seed=9)])[0]
    assert len({other.ids, alone[0].ids, alone[4].ids}) == 3
    before = torch.random.get_rng_state()
    Decoder(network).answers(requests)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_cancelled_within_one_step() -> None:
    network = network_of(causal("gpt2"))
    requests = [Request(prompt, 30) for prompt in prompts_of((4, 6, 8, 5))]
    wanted = Decoder(network).answers(requests)
    decoder = Decoder(network, 3)
    for request in requests:
        decoder.add(request)
    decoder.step()
    decoder.cancel(1)
    decoder.cancel(3)
    ended = {piece.number: piece.answer for piece in decoder.step() if piece.answer}
    assert {number: answer.ended for number, answer in ended.items()} == {1: "cancelled", 3: "cancelled"}
    assert ended[1].ids == wanted[1].ids[:2]
    assert ended[3].ids == ()
    assert ended[3].text == ""
    decoder.cancel(1)
    rest = dict[int, Answer]()
    while decoder.busy:
        rest |= {piece.number: piece.answer for piece in decoder.step() if piece.answer}
    assert rest == {0: wanted[0], 2: wanted[2]}


def test_a_closed_stream_leaves_nothing_behind() -> None:
    decoder = Decoder(network_of(causal("llama")))
    requests = [Request(prompt, 20) for prompt in prompts_of((4, 6))]
    stream = decoder.stream(requests)
    next(stream)
    with pytest.raises(ConfigurationError, match="at work"):
        decoder.answers(requests)
    stream.close()
    assert not decoder.busy
    assert decoder.held == 0
    assert decoder.answers(requests) == Decoder(decoder.network).answers(requests)


def test_mistakes_are_named() -> None:
    decoder = Decoder(network_of(causal("gpt2")))
    with pytest.raises(ConfigurationError, match="prompt has no tokens"):
        decoder.answers([Request([], 5)])
    with pytest.raises(ConfigurationError, match="60 tokens and an answer of up to 5 .* 64 tokens"):
        decoder.answers([Request([1], 5), Request([1] * 60, 5)])
    assert len(decoder.answers([Request([1] * 60, 4)])[0].ids) == 4
    assert not decoder.busy
    assert decoder.answers([]) == []
    for settings, words in (
        ({"max_tokens": 0}, "at least 1"), ({"temperature": -1.0}, "temperature"), ({"top_p": 0.0}, "top_p"),
        ({"stops": [""]}, "stops"), ({"stops": "end"}, "stops"),
    ):  # fmt: skip
        with pytest.raises(ConfigurationError, match=words):
            Request([1], **settings)
    with pytest.raises(ConfigurationError, match="at least 1 answer"):
        Decoder(decoder.network, 0)
