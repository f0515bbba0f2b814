"""Smoothed, mixed targets by hand; what the settings may be."""

from __future__ import annotations

import math

import pytest
import torch

from headstart.engine.feed.augment import Augment
from headstart.pretraining.objectives.classify import Classify


def test_mixed_and_smoothed_targets_by_hand() -> None:
    """`q = (1 - s) (l onehot(a) + (1 - l) onehot(b)) + s/C` with l = 0.7, s = 0.2, C = 3; the sum over both rows."""
    scores = torch.tensor([[2.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    shares = torch.tensor([[0.7, 0.3, 0.0], [0.0, 1.0, 0.0]])
    total = math.log(math.exp(2) + math.exp(1) + 1)
    q = [0.8 * 0.7 + 0.2 / 3, 0.8 * 0.3 + 0.2 / 3, 0.2 / 3]
    assert sum(q) == pytest.approx(1)
    first = q[0] * (total - 2) + q[1] * (total - 1) + q[2] * total
    found = Classify(label_smoothing=0.2).loss(scores, shares)
    assert found.item() == pytest.approx(first + math.log(3), rel=1e-6)
    # of a single class, the same as its number
    whole = torch.eye(3)[[0, 1]]
    numbers = Classify(label_smoothing=0.2).loss(scores, torch.tensor([0, 1]))
    assert Classify(label_smoothing=0.2).loss(scores, whole).item() == pytest.approx(numbers.item(), rel=1e-6)


@pytest.mark.parametrize("name", ["mixup", "cutmix"])
def test_pictures_are_blended_by_the_shares_of_their_labels(name: str) -> None:
    """White pictures of class 1 and black ones of class 0: the share of class 1 is the brightness."""
    torch.manual_seed(2)
    targets = torch.tensor([0, 1, 0, 1])
    pictures = targets[:, None, None, None].float().expand(4, 3, 16, 16)
    mixed, shares = Augment(name).mix(pictures, targets, 2)  # type: ignore[arg-type]
    assert shares.shape == (4, 2)
    assert torch.allclose(mixed.mean((1, 2, 3)), shares[:, 1], atol=1e-5)
    assert ((shares > 0.01) & (shares < 0.99)).any(), "this seed blends"
    assert (name == "cutmix") == bool(((mixed == 0) | (mixed == 1)).all()), "cutmix pastes, mixup averages"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"ema": 1.0}, "ema is 1.0"),
        ({"patch_size": -8}, "patch_size is -8"),
        ({"channels": (8, 0)}, "channels are 8, 0"),
        ({"image_size": 0}, "image_size is 0"),
        ({"learning_rate": 0.0}, "learning_rate is 0.0"),
        ({"warmup": 1.5}, "warmup is 1.5"),
    ],
)
def test_settings_that_can_not_be(settings: dict[str, object], words: str) -> None:
    (problem,) = Classify(**settings).problems()  # type: ignore[arg-type]
    assert words in problem
    assert not list(Classify().problems())


def test_transformers_learn_more_slowly_unless_told() -> None:
    assert Classify().rate("cnn") == 3e-3
    assert Classify().rate("vit") == 1e-3
    assert Classify(learning_rate=0.5).rate("vit") == 0.5
