"""The sampled head: its sum is on average that of all words, a drawn target counts once, and all words judge it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from backbones.tiny import bytelevel
from headstart.core.errors import ConfigurationError
from headstart.engine.budget import Budget
from headstart.engine.fit import fit
from headstart.engine.job import share_of
from headstart.engine.losses.sampled_head import SampledHead, counts
from headstart.engine.machine.precision import compute
from headstart.engine.runtime import Runtime
from headstart.engine.state.checkpoint import Checkpoint
from headstart.pretraining.jobs import language
from headstart.pretraining.objectives.awd import AwdLanguageModel
from headstart.pretraining.objectives.clm import CausalLanguageModel
from headstart.pretraining.objectives.elmo import BidirectionalLanguageModel
from pretraining.test_language import job, recurrent_job, steps


def entropy(scores: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return F.cross_entropy(scores, targets, reduction="sum")


@pytest.mark.parametrize("bias", [True, False])
def test_the_sum_in_the_logarithm_is_on_average_that_of_all_words(bias: bool) -> None:
    torch.manual_seed(0)
    head, occurred = nn.Linear(8, 40, bias=bias), np.arange(40)
    hidden, target = torch.randn(1, 8), torch.tensor([3])
    one = SampledHead(head, occurred, 20_000)
    found = one.summed(hidden, target, entropy).detach()
    assert float(found) == pytest.approx(float(entropy(head(hidden), target).detach()), abs=0.03)
    sums = torch.stack([SampledHead(head, occurred, 5).summed(hidden, target, entropy).detach() for _ in range(4000)])
    # e^loss = sum / e^s_t: few draws give the same mean, each of them another value
    assert float(sums.exp().mean()) == pytest.approx(float(entropy(head(hidden), target).detach().exp()), rel=0.05)
    assert float(sums.std()) > 0.05


def test_a_loss_worked_out_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scores 2, 1, 0 for words that occur 1, 0 and 3 times; drawn: the target itself, word 1, word 2 and word 2."""
    head = nn.Linear(1, 3, bias=False)
    head.weight.data[:] = torch.tensor([[2.0], [1.0], [0.0]])
    one = SampledHead(head, np.array([1, 0, 3]), 4)
    assert one.chances.tolist() == pytest.approx([7 / 24, 4 / 24, 13 / 24])
    monkeypatch.setattr(torch, "multinomial", lambda *_, **__: torch.tensor([0, 1, 2, 2]))
    found = one.summed(torch.ones(1, 1), torch.tensor([0]), entropy)
    others = (np.e * 6 + 2 * 1 * 24 / 13) / 4  # each draw's e^score over its chance, a quarter each; the target once
    assert float(found.detach()) == pytest.approx(-2 + np.log(np.e**2 + others), rel=1e-5)


def test_gradients_reach_the_states_and_the_words_that_took_part() -> None:
    torch.manual_seed(0)
    head, hidden = nn.Linear(4, 1000), torch.randn(3, 4, requires_grad=True)
    SampledHead(head, np.ones(1000, dtype=np.int64), 20).summed(hidden, torch.tensor([7, 8, 9]), entropy).backward()
    assert hidden.grad is not None
    assert (hidden.grad != 0).any(1).all()
    assert head.weight.grad is not None
    moved = (head.weight.grad != 0).any(1)
    assert moved[7:10].all()
    assert 3 <= int(moved.sum()) <= 23


def test_tokens_are_counted_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headstart.engine.losses.sampled_head.BLOCK", 2)
    assert counts(np.array([0, 2, 2, 3, 2], dtype=np.uint16), 5).tolist() == [1, 0, 3, 1, 0]


def test_a_network_learns_with_few_samples_and_is_judged_with_all_words(tmp_path: Path) -> None:
    ends = {}
    for samples in (0, 64):
        objective: Any = CausalLanguageModel(samples=samples, batch_tokens=256, epochs=8)
        one = job(tmp_path / str(samples), bytelevel(), objective)
        before = one.held_out_loss()
        fit(one, Budget(epochs=8), Runtime(one.compute))
        ends[samples] = (before, one.held_out_loss())
    assert ends[64][0] == ends[0][0]  # the same network, judged the same way
    learned = {samples: before - after for samples, (before, after) in ends.items()}
    assert learned[64] > 0.8 * learned[0] > 2


@pytest.mark.parametrize("objective", [AwdLanguageModel, BidirectionalLanguageModel])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_many_samples_give_the_loss_over_all_words(tmp_path: Path, objective: Any, precision: str) -> None:
    """With a head that is the embedding too, and with two directions."""
    losses = []
    for samples in (0, 50_000):
        settings = {"dropout": 0.0, "batch_tokens": 64, "samples": samples}
        one = recurrent_job(tmp_path / str(samples), objective(**settings))
        one.compute = compute("cpu", precision)
        with torch.no_grad():  # words that differ in their scores
            one.network.head.weight.mul_(20)
        ((micro,),) = steps(one, 1)
        one.enter(0.0)
        torch.manual_seed(0)
        losses.append(float(share_of(one.losses(micro, 0.0)).detach()))
    assert losses[1] == pytest.approx(losses[0], rel=0.01)
    assert losses[1] != losses[0]


@pytest.mark.parametrize("after", [3, pytest.param(7, marks=pytest.mark.slow)])
def test_interrupted_equals_uninterrupted(tmp_path: Path, after: int) -> None:
    checkpoint, found = Checkpoint(tmp_path / "checkpoint.safetensors", every=0), []
    for name, budget in (("whole", {}), ("cut", {"steps": after}), ("again", {})):
        one = job(tmp_path / name, bytelevel(), CausalLanguageModel(samples=8, batch_tokens=256))
        fit(one, Budget(2, **budget), Runtime(one.compute), checkpoint=None if name == "whole" else checkpoint)
        found.append({name: value.clone() for name, value in one.module.state_dict().items()})
    whole, cut, again = found
    assert all(torch.equal(whole[name], again[name]) for name in whole)
    assert not all(torch.equal(whole[name], cut[name]) for name in whole)


def test_where_scores_are_more_than_a_layers_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(language, "head_of", lambda *_: None)
    with pytest.raises(ConfigurationError, match="Leave samples out"):
        job(tmp_path, bytelevel(), CausalLanguageModel(samples=16))
