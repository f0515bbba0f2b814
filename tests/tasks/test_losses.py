"""Losses against values worked out by hand and PyTorch's own."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from headstart.tasks.task import Task

ABC = tuple("abc")


def test_single_label_sums_over_examples() -> None:
    """Scores (0, ln 3) give 1/4 and 3/4."""
    scores = torch.tensor([[0.0, math.log(3)], [0.0, math.log(3)]])
    loss = Task("single_label", "text", ABC[:2]).loss(scores, torch.tensor([0, 1]))
    assert float(loss) == pytest.approx(math.log(4) + math.log(4 / 3))


def test_class_weights_weigh_examples_without_renormalising() -> None:
    """Their mean over the training examples is 1, so a batch's weights are not divided out again."""
    scores, targets = torch.randn(6, 3), torch.tensor([0, 0, 1, 2, 2, 2])
    weights = (0.5, 2.0, 1.5)
    loss = Task("single_label", "text", ABC, weights).loss(scores, targets)
    each = -scores.log_softmax(1)[range(6), targets]
    assert float(loss) == pytest.approx(float((each * torch.tensor(weights)[targets]).sum()), rel=1e-5)


def test_shares_of_classes_are_mixed_losses() -> None:
    scores = torch.randn(4, 3)
    shares = torch.tensor([[0.3, 0.7, 0.0]]).repeat(4, 1)
    task = Task("single_label", "image", ABC)
    pure = [float(task.loss(scores, torch.full((4,), c))) for c in (0, 1)]
    assert float(task.loss(scores, shares)) == pytest.approx(0.3 * pure[0] + 0.7 * pure[1], rel=1e-5)


def test_multi_label_is_the_mean_over_labels() -> None:
    scores, targets = torch.zeros(2, 4), torch.tensor([[1.0, 0, 1, 0], [0, 0, 0, 1]])
    assert float(Task("multi_label", "text", tuple("abcd")).loss(scores, targets)) == pytest.approx(2 * math.log(2))
    scores, weights = torch.randn(2, 4), (1.0, 0.5, 2.0, 0.5)
    expected = F.binary_cross_entropy(scores.sigmoid(), targets, weight=torch.tensor(weights), reduction="sum") / 4
    loss = Task("multi_label", "text", tuple("abcd"), weights).loss(scores, targets)
    assert float(loss) == pytest.approx(float(expected), rel=1e-5)


def test_regression_is_half_the_squared_error() -> None:
    loss = Task("regression", "text").loss(torch.tensor([[1.0], [4.0]]), torch.tensor([3.0, 1.0]))
    assert float(loss) == 0.5 * (4 + 9)


def test_probabilities() -> None:
    scores = torch.tensor([[0.0, math.log(3)]])
    assert Task("single_label", "text", ABC[:2]).probabilities(scores)[0].tolist() == pytest.approx([0.25, 0.75])
    assert Task("multi_label", "text", ABC[:2]).probabilities(scores)[0].tolist() == pytest.approx([0.5, 0.75])
    assert torch.equal(Task("regression", "text").probabilities(scores[:, 1:]), scores[:, 1:])
