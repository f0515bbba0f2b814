"""What stands beside a module: it acts around the module's own call, and leaves no trace."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from backbones.tiny import batch_of, tiny
from headstart.artifacts.exchange.merge import merge
from headstart.backbones.ladder.cutting import Cut
from headstart.core.errors import ModelError
from headstart.methods.plan import Beside, Edit, Group, Model, Plan


class Shift(Beside):
    """Adds a learned number to what comes in, and another to what goes out."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Parameter(torch.tensor(0.0))
        self.last = nn.Parameter(torch.tensor(0.0))

    def before(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return (args[0] + self.first, *args[1:]), kwargs

    def after(self, args: tuple[Any, ...], kwargs: dict[str, Any], output: Tensor) -> Tensor:
        return output + self.last


class Doubled(Beside):
    def after(self, args: tuple[Any, ...], kwargs: dict[str, Any], output: Tensor) -> Tensor:
        return 2 * output


def plan_of(path: str, *edits: Edit) -> Plan:
    names = tuple(f"{path}.shift.{name}" for name in ("first", "last"))
    return Plan((Group("shift", names, 0),), edits=edits or (Edit(path, lambda m: Shift(), "shift"),))


def test_it_acts_around_the_call_and_goes_without_a_trace() -> None:
    model = Model(nn.Sequential(nn.Linear(3, 3), nn.ReLU()), nn.Linear(3, 2))
    layer, x = model.backbone[0], torch.randn(4, 3)
    plain, names = layer(x), list(model.state_dict())
    with plan_of("backbone.0").applied(model):
        assert isinstance(model.backbone[0], nn.Linear)  # in its place, of its type
        assert set(names) < set(model.state_dict())
        torch.testing.assert_close(layer(x), plain, rtol=0, atol=0)
        with torch.no_grad():
            layer.shift.first.fill_(1.0)
            layer.shift.last.fill_(10.0)
        torch.testing.assert_close(layer(x), F.linear(x + 1, layer.weight, layer.bias) + 10)
    assert list(model.state_dict()) == names
    assert "forward" not in layer.__dict__
    torch.testing.assert_close(layer(x), plain, rtol=0, atol=0)


def test_several_act_in_the_order_of_the_plan() -> None:
    model = Model(nn.Sequential(nn.Identity()), nn.Linear(3, 2))
    edits = (Edit("backbone.0", lambda m: Shift(), "shift"), Edit("backbone.0", lambda m: Doubled(), "doubled"))
    with plan_of("backbone.0", *edits).applied(model):
        with torch.no_grad():
            model.backbone[0].shift.last.fill_(1.0)
        assert model.backbone(torch.zeros(())).item() == 2.0  # (0 + 1) * 2, not 0 * 2 + 1


def test_hooks_of_others_stay() -> None:
    model = Model(nn.Sequential(nn.Linear(3, 3)), nn.Linear(3, 2))
    seen: list[int] = []
    model.backbone[0].register_forward_hook(lambda *_: seen.append(1))
    with plan_of("backbone.0").applied(model):
        model.backbone(torch.zeros(1, 3))
    model.backbone(torch.zeros(1, 3))
    assert seen == [1, 1]


def test_a_deep_copy_has_its_own() -> None:
    """Merging and averaging work on copies: they must not reach back into the model they came from."""
    model = Model(nn.Sequential(nn.Linear(3, 3)), nn.Linear(3, 2))
    x = torch.randn(2, 3)
    with plan_of("backbone.0").applied(model):
        twin = copy.deepcopy(model)
        before = model.backbone(x)
        with torch.no_grad():
            twin.backbone[0].shift.last.fill_(5.0)
        torch.testing.assert_close(twin.backbone(x), before + 5)
        torch.testing.assert_close(model.backbone(x), before, rtol=0, atol=0)


def test_what_can_not_be_folded_refuses_to_merge() -> None:
    model = Model(nn.Sequential(nn.Linear(3, 3)), nn.Linear(3, 2))
    with plan_of("backbone.0").applied(model), pytest.raises(ModelError, match="Shift.*can't be merged"):
        merge(model.backbone)


def test_the_kept_state_is_the_base_s_own() -> None:
    """Beside the module at the cut, it acts on what was kept, once, and is not kept itself."""
    backbone = tiny("bert")
    model, batch, rung = Model(backbone.module, nn.Linear(32, 2)), batch_of(backbone), 2
    entry = backbone.ladder.rungs[rung].modules[0]
    plain = Cut(backbone, rung).state(batch)
    with plan_of(f"backbone.{entry}").applied(model):
        with torch.no_grad():
            backbone.module.get_submodule(entry).shift.first.fill_(0.5)
            whole = backbone.features(batch)
            cut = Cut(backbone, rung)
            _, state = cut.record(batch)
            torch.testing.assert_close(state, plain, rtol=0, atol=0)
            torch.testing.assert_close(cut.resume(batch, state), whole)
        assert not torch.allclose(whole, tiny("bert").features(batch))
