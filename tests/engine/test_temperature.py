"""The temperature of a head: what it does to scores, labels and log loss, and where it does nothing."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from headstart.engine.losses.temperature import cool, temperature
from headstart.methods.heads.knn import NeighboursHead
from headstart.methods.heads.mix import MixHead
from headstart.tasks.task import Task

LABELS = ("a", "b", "c")


def drawn(n: int, factor: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits `factor` times too large, and classes drawn from the true probabilities."""
    torch.manual_seed(0)
    logits = 1.5 * torch.randn(n, 4)
    return factor * logits, torch.distributions.Categorical(logits=logits).sample()


@pytest.mark.parametrize("factor", [0.3, 1.0, 50.0])
def test_the_factor_is_found_again(factor: float) -> None:
    logits, targets = drawn(8000, factor)
    assert temperature(logits, targets, Task("single_label", "text", LABELS)) == pytest.approx(factor, rel=0.08)


def test_labels_that_may_hold_together() -> None:
    torch.manual_seed(1)
    logits = torch.randn(4000, 3)
    targets = torch.bernoulli(logits.sigmoid())
    assert temperature(5 * logits, targets, Task("multi_label", "text", LABELS)) == pytest.approx(5, rel=0.1)


def test_a_few_examples_that_are_all_right_make_no_model_certain() -> None:
    logits = torch.tensor([[2.0, 0.0], [0.0, 2.0], [2.0, 0.0]])
    t = temperature(logits, torch.tensor([0, 1, 0]), Task("single_label", "text", LABELS))
    assert 0.5 < t < 1, "surer than before, but not much on three examples"
    assert (logits / t).softmax(1).max() < 0.99


def test_where_there_is_nothing_to_fit() -> None:
    assert temperature(torch.randn(5, 1), torch.randn(5), Task("regression", "text", LABELS)) == 1.0
    assert (
        temperature(torch.randn(0, 3), torch.zeros(0, dtype=torch.int64), Task("single_label", "text", LABELS)) == 1.0
    )
    assert temperature(torch.full((2, 2), math.nan), torch.tensor([0, 1]), Task("single_label", "text", LABELS)) == 1.0


@pytest.mark.parametrize("kind", ["linear", "mix", "knn"])
def test_a_head_gives_its_scores_divided(kind: str) -> None:
    torch.manual_seed(0)
    x, y = torch.randn(20, 6), torch.arange(20) % 3
    head: nn.Module = {
        "linear": nn.Linear(6, 3), "mix": MixHead((3, 3), 3, True, True), "knn": NeighboursHead(6, 3, 5)
    }[kind]  # fmt: skip
    if isinstance(head, NeighboursHead):
        head.solve(x, y, Task("single_label", "text", tuple("abc")))
    with torch.no_grad():
        before = head(x)
        assert cool(head, 4.0)
        torch.testing.assert_close(head(x), before / 4)
    assert (head(x).argmax(1) == before.argmax(1)).all()


def test_an_average_stays_an_average() -> None:
    head = NeighboursHead(2, 1, 2)
    head.solve(torch.randn(4, 2), torch.randn(4), Task("regression", "text"))
    before = head(torch.ones(1, 2))
    cool(head, 3.0)
    assert torch.equal(head(torch.ones(1, 2)), before)


def test_an_unknown_head_is_left_alone() -> None:
    assert not cool(nn.Sequential(nn.Linear(2, 2), nn.Tanh()), 2.0)
