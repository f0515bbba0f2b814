"""WiSE-FT: both ends exact, the share chosen on validation, the curve in the record."""

from __future__ import annotations

import pytest
import torch

from backbones.tiny import tiny
from contract.settings import method_of, rising, setting_of, state_of
from headstart.core.errors import MethodError
from headstart.engine.adapt import adapted
from headstart.engine.job import Evaluation
from headstart.engine.state.averaging import between, interpolate


def trained(backbone, shares: tuple[float, ...]) -> tuple[dict[str, torch.Tensor], tuple]:
    with adapted(setting_of(backbone, score=rising()), method_of("wiseft", shares=shares), 0) as done:
        return state_of(done.model), done.trace.interpolation


@pytest.mark.parametrize("family", ["bert", "timm_resnet"])
def test_between_the_ends(family: str) -> None:
    """Share 0 is the base under the solved head, share 1 what training reached, a half their mean; buffers too."""
    backbone = tiny(family)
    before = state_of(backbone.module)
    start, _ = trained(backbone, (0.0,))
    tuned, _ = trained(backbone, (1.0,))
    half, curve = trained(backbone, (0.5,))
    for name, value in before.items():
        assert torch.equal(start[f"backbone.{name}"], value)
    assert any(not torch.equal(start[n], tuned[n]) for n in start)
    for name, value in half.items():
        if value.is_floating_point():
            torch.testing.assert_close(value, (start[name] + tuned[name]) / 2)
    assert [share.share for share in curve] == [0.5]
    with adapted(
        setting_of(backbone, score=rising()), method_of("lpft"), 0
    ) as done:  # the same training, without the look back
        for name, value in state_of(done.model).items():
            torch.testing.assert_close(tuned[name], value, rtol=0, atol=0)


def test_validation_chooses_and_of_equals_the_nearest_to_the_base() -> None:
    start, tuned = {"w": torch.zeros(2)}, {"w": torch.ones(2)}
    now = {"w": torch.zeros(2)}
    scores = {0.0: (0.5, 1.0), 0.3: (0.9, 0.4), 0.6: (0.9, 0.4), 1.0: (0.8, 0.1)}

    def judge() -> Evaluation:
        value, loss = scores[round(float(now["w"][0]), 3)]
        return Evaluation(value, loss, value)

    curve, best = interpolate(start, tuned, (1.0, 0.0, 0.6, 0.3), now.update, judge)
    assert [share.share for share in curve] == [0.0, 0.3, 0.6, 1.0]
    assert [share.validation_value for share in curve] == [0.5, 0.9, 0.9, 0.8]
    assert best == Evaluation(0.9, 0.4, 0.9)
    assert float(now["w"][0]) == pytest.approx(0.3)


def test_counters_are_not_averaged() -> None:
    start, tuned = {"n": torch.tensor(3)}, {"n": torch.tensor(8)}
    assert int(between(start, tuned, 0.4)["n"]) == 3
    assert int(between(start, tuned, 0.7)["n"]) == 8


def test_shares_outside_are_refused() -> None:
    with pytest.raises(MethodError, match="between 0 and 1"):
        method_of("wiseft", shares=(0.0, 1.5)).attach(tiny("mlp"), torch.nn.Linear(32, 2))
