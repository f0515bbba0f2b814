"""The scalar mix against its formula."""

from __future__ import annotations

import numpy as np
import torch

from backbones.tiny import tiny
from contract.settings import method_of, setting_of
from headstart.engine.adapt import adapted
from headstart.methods.heads.mix import Mix, MixHead


def test_the_formula_by_hand() -> None:
    head = MixHead((3, 3, 3), 2, bias=True, normalise=True)
    with torch.no_grad():
        head.shares.copy_(torch.tensor([0.0, 1.0, -1.0]))
        head.gamma.fill_(1.7)
    x = torch.randn(4, 9)
    s = np.exp([0.0, 1.0, -1.0]) / np.exp([0.0, 1.0, -1.0]).sum()
    levels = x.numpy().reshape(4, 3, 3)
    norm = (levels - levels.mean(-1, keepdims=True)) / np.sqrt(levels.var(-1, keepdims=True) + 1e-5)
    mixed = 1.7 * sum(s[i] * norm[:, i] for i in range(3))
    expected = mixed @ head.linear.weight.detach().numpy().T + head.linear.bias.detach().numpy()
    np.testing.assert_allclose(head(x).detach().numpy(), expected, rtol=1e-4, atol=1e-5)


def test_levels_of_another_width_are_mapped() -> None:
    backbone = tiny("timm_resnet")
    head = Mix().head(backbone, 3, bias=True)
    narrow = [i for i, width in enumerate(backbone.level_widths) if width != backbone.level_widths[-1]]
    assert narrow
    assert sorted(head.maps) == sorted(str(i) for i in narrow)
    features = torch.randn(2, backbone.width("all"))
    before = head(features)
    for i in narrow:  # each level has its part
        start = sum(backbone.level_widths[:i])
        changed = features.clone()
        changed[:, start] += 5.0
        assert not torch.allclose(head(changed), before)


def test_it_learns_which_rung_tells() -> None:
    """Features in which one level alone holds the class: its share grows above the others'."""
    torch.manual_seed(0)
    head = MixHead((4, 4, 4), 2, bias=True, normalise=False)
    y = torch.arange(64) % 2
    x = torch.randn(64, 12)
    x[:, 4] = 2.0 * y - 1.0
    x[:, 5:8] = 0.0
    optimizer = torch.optim.Adam(head.parameters(), 0.05)
    for _ in range(200):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(head(x), y).backward()
        optimizer.step()
    assert int(head.shares.argmax()) == 1


def test_the_backbone_runs_once() -> None:
    backbone = tiny("bert")
    setting = setting_of(backbone, epochs=2)
    runs = 0

    def count(*_: object) -> None:
        nonlocal runs
        runs += 1

    handle = backbone.module.register_forward_hook(count)
    with adapted(setting, method_of("mix"), 0) as done:
        assert done.trace.steps == 2 * 8 * 3  # two epochs, stretched by eight, of three steps
    handle.remove()
    assert runs <= 8, "the frozen features are computed once"
