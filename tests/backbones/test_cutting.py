"""Cutting: the features from a rung up are those of the whole forward, and the rungs below do not run."""

from __future__ import annotations

import pytest
import torch

from headstart.backbones.ladder.cutting import Cut, check

from . import tiny

EXACT = [n for n in tiny.NAMES if n != "t5"]


@pytest.mark.parametrize("name", EXACT)
def test_exact_at_every_cut(name: str) -> None:
    backbone = tiny.tiny(name)
    for rung in range(len(backbone.ladder) + 1):
        assert check(backbone, rung) is None


def test_t5_says_why_not() -> None:
    backbone = tiny.tiny("t5")
    assert check(backbone, 1) is None
    assert "reaches above it" in str(check(backbone, 2))


@pytest.mark.parametrize("name", ["bert", "deberta_v2", "gpt2", "swin", "timm_resnet", "torchvision_vit", "plain"])
def test_gradients_above_and_nothing_below(name: str) -> None:
    """With the lower rungs' weights poisoned, features and gradients above the cut stay those of the whole run."""
    backbone = tiny.tiny(name)
    backbone.module.eval()
    batch = tiny.batch_of(backbone)
    rung = len(backbone.ladder) - 2
    above = [n for r in backbone.ladder.rungs[rung:] for n in r.parameters]
    parameters = dict(backbone.module.named_parameters())
    for n, p in parameters.items():
        p.requires_grad_(n in above)
    whole = backbone.features(batch)
    wanted = torch.autograd.grad(whole.square().sum(), [parameters[n] for n in above], allow_unused=True)
    cut = Cut(backbone, rung)
    _, state = cut.record(batch)
    assert torch.equal(cut.state(batch), state)
    on_stream = tuple(f"{m}." for r in backbone.ladder.rungs[:rung] for m in r.modules)
    with torch.no_grad():
        for n, p in parameters.items():
            if n.startswith(on_stream):
                p.fill_(float("nan"))
    resumed = cut.resume(batch, state)
    torch.testing.assert_close(resumed, whole, rtol=1e-5, atol=1e-6)
    found = torch.autograd.grad(resumed.square().sum(), [parameters[n] for n in above], allow_unused=True)
    for a, b in zip(found, wanted):
        assert (a is None) == (b is None)
        if a is not None:
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_leaves_no_trace() -> None:
    backbone = tiny.tiny("bert")
    batch = tiny.batch_of(backbone)
    backbone.module.train()
    before = backbone.fingerprint
    for rung in range(len(backbone.ladder) + 1):
        check(backbone, rung)
    with pytest.raises(RuntimeError):
        Cut(backbone, 2).resume(batch, torch.zeros(4, 3, 7))  # a state that fits nothing
    for module in backbone.module.modules():
        assert "forward" not in module.__dict__
        assert not module._forward_hooks
        assert not module._forward_pre_hooks
        assert module.training
    from headstart.backbones.backbone import fingerprint

    assert fingerprint(backbone.module) == before


def test_check_finds_a_side_path() -> None:
    """A model in which the input reaches the top beside the blocks can't be cut, and says so."""
    from torch import nn

    from headstart.backbones.loaders.load import load

    class Skip(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.flat, self.one, self.two, self.three = nn.Flatten(), nn.Linear(48, 8), nn.Linear(8, 8), nn.Linear(8, 8)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            first = self.one(self.flat(x))
            return torch.relu(self.three(torch.relu(self.two(torch.relu(first))))) + first

    backbone = load(Skip(), image_size=4)
    assert check(backbone, 1) is not None


def test_a_resumed_batch_may_have_another_shape() -> None:
    backbone = tiny.tiny("bert")
    backbone.module.eval()
    cut = Cut(backbone, 2)
    assert cut.check() is None
    batch = tiny.batch_of(backbone, count=7, seed=3)
    torch.testing.assert_close(cut.resume(batch, cut.state(batch)), backbone.features(batch), rtol=1e-5, atol=1e-6)
