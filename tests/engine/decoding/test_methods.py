"""Answers of a network with a method applied equal those of reading everything again for each token."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import nn

from backbones.tiny import bytelevel, tiny
from engine.decoding.tiny import FP32, prompts_of
from headstart.core.errors import ConfigurationError, ModelError
from headstart.engine.decoding.decoder import Decoder
from headstart.engine.decoding.likelihoods import likelihoods
from headstart.engine.decoding.network import Network, opened
from headstart.engine.decoding.request import Request
from headstart.methods.method import METHODS
from headstart.methods.plan import Model
from headstart.methods.slots import Beside, Edit, Slots

BOTH = ("llama", "gpt2")
PREFIX = {"tokens": 5}
LIKE_THE_BASE = ("lora", "houlsby", "parallel", "ia3", "norms", "full")
SETTINGS: list[tuple[str, str, dict[str, Any]]] = [
    ("bitfit", "gpt2", {}),  # Llama has no biases
    *((method, backbone, {}) for method in LIKE_THE_BASE for backbone in BOTH),
    *(("lora", backbone, {"dora": True}) for backbone in BOTH),
    *(("prefix", backbone, PREFIX) for backbone in BOTH),
    *(("prefix", backbone, PREFIX | {"reparametrise": True}) for backbone in BOTH),
    *(("prompt", backbone, PREFIX) for backbone in BOTH),
]


@contextmanager
def adapted(backbone: str, method: str, settings: dict[str, Any]) -> Iterator[tuple[Any, nn.Linear]]:
    """A body with the method's parameters moved away from their start, and a head over the vocabulary."""
    found = tiny(backbone)
    found.module.double()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        head = nn.Linear(found.dimension, 257).double()
        plan = METHODS[method](**settings).attach(found, nn.Linear(found.dimension, 2))
        with plan.applied(Model(found.module, nn.Linear(found.dimension, 2))) as model, torch.no_grad():
            for name, parameter in model.named_parameters():
                if name in plan.trained():
                    parameter.add_(0.3 * torch.randn_like(parameter))
                    parameter.data = parameter.data.double()
            yield found.module, head


@torch.no_grad()
def reread(body: Any, head: nn.Linear, prompt: list[int], most: int) -> tuple[int, ...]:
    ids = list(prompt)
    for _ in range(most):
        ids.append(int(head(body(input_ids=torch.tensor([ids]), use_cache=False).last_hidden_state[0, -1]).argmax()))
    return tuple(ids[len(prompt) :])


@pytest.mark.parametrize(("method", "backbone", "settings"), SETTINGS)
def test_equal_to_reading_again(method: str, backbone: str, settings: dict[str, Any]) -> None:
    with adapted(backbone, method, settings) as (body, head):
        network = opened(body, head, bytelevel(), FP32)
        for shared in (0, 4):
            prompts = prompts_of((5, 13, 6, 9), shared)
            answers = Decoder(network, 3).answers([Request(prompt, 7 + 3 * (len(prompt) % 3)) for prompt in prompts])
            wanted = [reread(body, head, prompt, 7 + 3 * (len(prompt) % 3)) for prompt in prompts]
            assert [answer.ids for answer in answers] == wanted
        choices = [[3], [3, 4], [5, 6, 7]]
        found = likelihoods(network, prompts, [choices] * len(prompts))
        for prompt, row in zip(prompts, found):
            for choice, each in zip(choices, row):
                with torch.no_grad():
                    states = body(input_ids=torch.tensor([prompt + choice]), use_cache=False).last_hidden_state[0]
                    log_p = head(states).log_softmax(-1)
                whole = sum(float(log_p[len(prompt) + j - 1, token]) for j, token in enumerate(choice))
                assert each.log_p == pytest.approx(whole, abs=1e-9)


@pytest.mark.parametrize("method", ["prefix", "prompt"])
def test_virtual_tokens_count_as_read(method: str) -> None:
    with adapted("gpt2", method, {"tokens": 5}) as (body, head):
        network = opened(body, head, bytelevel(), FP32)
        assert network.readable == 59
        assert len(Decoder(network).answers([Request([1] * 50, 9)])[0].ids) == 9
        with pytest.raises(ConfigurationError, match="59 tokens"):
            Decoder(network).answers([Request([1] * 51, 9)])


@pytest.mark.parametrize("method", ["prefix", "prompt"])
def test_positions_that_are_given_follow_the_virtual_tokens(method: str) -> None:
    with adapted("gpt2", method, {"tokens": 5}) as (body, _), torch.no_grad():
        ids = torch.tensor([[1, 2, 3]])
        given = body(input_ids=ids, position_ids=torch.arange(3)[None], use_cache=False).last_hidden_state
        assert torch.equal(given, body(input_ids=ids, use_cache=False).last_hidden_state)
        later = body(input_ids=ids, position_ids=torch.arange(3)[None] + 2, use_cache=False).last_hidden_state
        assert not torch.allclose(given, later)


class Centred(Beside):
    """Depends on all tokens of a call, so that it can't be read in parts."""

    def after(self, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> Any:
        output["last_hidden_state"] = output["last_hidden_state"] - output["last_hidden_state"].mean(1, keepdim=True)
        return output


def test_what_depends_on_the_whole_call_is_refused() -> None:
    backbone = tiny("llama")
    slots = Slots(Model(backbone.module, nn.Identity()))
    slots.put("centred", [Edit("backbone", lambda _: Centred(), "centred")])
    head = nn.Linear(backbone.dimension, 257)
    assert isinstance(opened(backbone.module, head, bytelevel(), FP32), Network)
    with slots.using("centred"), pytest.raises(ModelError, match="gives other states than read at once"):
        opened(backbone.module, head, bytelevel(), FP32)
    slots.close()
