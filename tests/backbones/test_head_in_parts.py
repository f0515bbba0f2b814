"""The head in parts: the plain head's loss and gradients, and only where a network ends in that head."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from backbones.tiny import bytelevel, wordpiece
from headstart.backbones.networks import head_in_parts
from headstart.backbones.networks.head_in_parts import head_of, summed
from headstart.engine.job import share_of
from headstart.pretraining.objectives.clm import CausalLanguageModel
from headstart.pretraining.objectives.mlm import MaskedLanguageModel
from pretraining.test_language import job, steps


def loss(scores: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return F.cross_entropy(scores.float(), targets, reduction="sum", label_smoothing=0.1)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("rows", "held"), [(300, 1 << 27), (300, 130 * 50), (head_in_parts.ROWS, 1), (1, 1), (0, 1)])
def test_loss_and_gradients_are_the_plain_heads(
    monkeypatch: pytest.MonkeyPatch, bias: bool, rows: int, held: int
) -> None:
    monkeypatch.setattr(head_in_parts, "HELD", held)
    torch.manual_seed(0)
    head = nn.Linear(16, 50, bias=bias)
    targets = torch.randint(50, (rows,))
    found = []
    for parts in (False, True):
        hidden = torch.randn(rows, 16, generator=torch.Generator().manual_seed(1)).requires_grad_()
        head.zero_grad()
        value = summed(head, hidden, targets, loss) if parts else loss(head(hidden), targets)
        (3 * value).backward()
        found.append([value.detach(), hidden.grad, *(p.grad for p in head.parameters())])
    for plain, mine in zip(*found):
        assert torch.allclose(plain, mine, rtol=1e-4, atol=1e-4)


def test_what_does_not_train_gets_no_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    head, hidden = nn.Linear(4, 9), torch.randn(5, 4)

    def asked(*_: Any) -> Any:
        raise AssertionError("a gradient was computed that nobody asks for")

    monkeypatch.setattr(torch.autograd, "grad", asked)
    with torch.no_grad():
        value = summed(head, hidden, torch.zeros(5, dtype=torch.long), loss)
    plain = loss(head(hidden), torch.zeros(5, dtype=torch.long)).item()
    assert value.item() == pytest.approx(plain, rel=1e-5)
    assert not value.requires_grad


@pytest.mark.parametrize("objective", [MaskedLanguageModel(), CausalLanguageModel()])
def test_the_job_gives_the_same_loss_and_gradients_without_it(
    tmp_path: Path, objective: MaskedLanguageModel | CausalLanguageModel
) -> None:
    found = []
    for parts in (True, False):
        one = job(tmp_path / str(parts), bytelevel() if objective.joined else wordpiece(), objective)
        assert one._head is not None
        if not parts:
            one._head = None
        one.enter(0)
        (micro,) = steps(one, 1)[0]
        value = share_of(one.losses(micro, 0))
        value.backward()
        found.append([value.detach(), *(p.grad for p in one.network.parameters())])
    for mine, plain in zip(*found):
        assert torch.allclose(mine, plain, rtol=1e-4, atol=1e-6)


def test_scores_that_are_more_than_the_heads_are_left_alone(tmp_path: Path) -> None:
    one = job(tmp_path, bytelevel(), CausalLanguageModel())
    few = {"input_ids": torch.arange(8).reshape(2, 4)}
    assert head_of(one.network, few) is one.network.get_output_embeddings()
    forward = one.network.forward

    def capped(**inputs: torch.Tensor) -> tuple[torch.Tensor]:  # as Gemma caps its scores
        return (5 * torch.tanh(forward(**inputs).logits),)

    one.network.forward = capped
    assert head_of(one.network, few) is None
