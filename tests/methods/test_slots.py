"""Slots: adapters put in once at their sites, and a route that switches them."""

from __future__ import annotations

import copy
import inspect
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from backbones.tiny import batch_of, tiny
from contract.settings import method_of, setting_of
from headstart.engine.adapt import adapted
from headstart.engine.machine.recompute import recomputing
from headstart.methods.adapters.lora_update import LoraUpdate
from headstart.methods.plan import Model
from headstart.methods.slots import Beside, Edit, Flattened, Slot, Slots


class Plus(Beside):
    row_wise = True

    def __init__(self, number: float) -> None:
        super().__init__()
        self.number = nn.Parameter(torch.tensor(number))

    def after(self, args: tuple[Any, ...], kwargs: dict[str, Any], output: Tensor) -> Tensor:
        return output + self.number


def plus(number: float, path: str = "0") -> Edit:
    return Edit(path, lambda module: Plus(number), "plus")


def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 3), nn.Identity())


def test_the_route_switches_and_the_base_is_untouched_without_one() -> None:
    model, x = net(), torch.randn(4, 3)
    plain, names, signature = model(x), list(model.state_dict()), inspect.signature(model[0].forward)
    slots = Slots(model)
    slots.put("a", [plus(1.0)])
    slots.put("b", [plus(2.0), plus(10.0, "1")])
    forwards = [module.forward for module in model]
    for _ in range(2):
        assert torch.equal(model(x), plain)
        assert list(model.state_dict()) == names
        with slots.using("a"):
            torch.testing.assert_close(model(x), plain + 1)
            assert [*model.state_dict()] == [*names, "0.plus.number"]
            with slots.using("b"):
                torch.testing.assert_close(model(x), plain + 12)
            with slots.using(None):
                assert torch.equal(model(x), plain)
            torch.testing.assert_close(model(x), plain + 1)
    assert [module.forward for module in model] == forwards, "nothing is put in again"
    assert inspect.signature(model[0].forward) == signature
    slots.take("b")
    assert isinstance(model[0].forward, Slot)
    assert "forward" not in model[1].__dict__
    slots.close()
    assert "forward" not in model[0].__dict__


def test_rows_of_one_batch_go_to_several_adapters() -> None:
    model, x = net(), torch.randn(5, 3)
    plain, slots = model(x), Slots(model)
    slots.put("a", [plus(1.0)])
    slots.put("b", [plus(2.0), plus(10.0, "1")])
    with slots.by_row({"a": slice(0, 2), "none": slice(2, 3), "b": slice(3, 5)}):
        torch.testing.assert_close(model(x), plain + torch.tensor([[1.0], [1.0], [0.0], [12.0], [12.0]]))
        assert "0.plus.number" not in model.state_dict()
        with pytest.raises(Flattened):
            model(x.reshape(1, 5, 3))
    assert torch.equal(model(x), plain)


def test_a_copy_has_the_acting_adapter_alone() -> None:
    model, x = net(), torch.randn(2, 3)
    plain, slots = model(x), Slots(model)
    slots.put("a", [plus(1.0)])
    slots.put("b", [plus(2.0)])
    idle = copy.deepcopy(model)
    assert not any(isinstance(module.forward, Slot) for module in idle)
    with slots.using("b"):
        twin = copy.deepcopy(model)
        assert list(twin[0].forward.parts) == ["b"]
        with torch.no_grad():
            twin[0].plus.number.fill_(7.0)
            twin[0].weight.zero_()
        torch.testing.assert_close(model(x), plain + 2)
    torch.testing.assert_close(twin(x), (twin[0].bias + 7).expand(2, 3))
    assert torch.equal(idle(x), plain)


def test_slots_of_two_owners_on_one_module_end_in_any_order() -> None:
    model, x = net(), torch.randn(2, 3)
    plain, first, second = model(x), Slots(model), Slots(model)
    first.put("a", [plus(1.0)])
    second.put("a", [Edit("0", lambda module: Plus(2.0), "two")])
    with second.using("a"):
        with first.using("a"):
            torch.testing.assert_close(model(x), plain + 3)
        first.close()
        torch.testing.assert_close(model(x), plain + 2)
    second.close()
    assert torch.equal(model(x), plain)


def test_torch_s_fused_encoder_layer_does_not_pass_a_slot_by() -> None:
    """In eval mode it reads the weights of its linear layers and calls none of them."""
    torch.manual_seed(0)
    model, x = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval(), torch.randn(2, 5, 8)
    slots = Slots(nn.ModuleList([model]))
    slots.put("a", [Edit("0.linear1", lambda module: LoraUpdate(module, 2, 1.0), "lora")])
    with torch.no_grad():
        plain = model(x)
        with slots.using("a"):
            model.linear1.lora.lora_b.weight.fill_(1.0)
            found = model(x)
        assert not torch.allclose(found, plain, atol=1e-3)
        with slots.by_row({"a": slice(0, 1), "b": slice(1, 2)}):
            rows = model(x)
        torch.testing.assert_close(rows[0], found[0])
        torch.testing.assert_close(rows[1], plain[1])
        assert torch.equal(model(x), plain)


def test_a_slot_at_a_whole_rung_outlives_recomputation() -> None:
    backbone = tiny("timm_vit")
    plan = method_of("vpt", tokens=2).attach(backbone, nn.Linear(32, 2))
    batch = batch_of(backbone)
    with plan.applied(Model(backbone.module, nn.Linear(32, 2))) as model:
        model.eval()
        found = backbone.features(batch)
        with recomputing(backbone.module, backbone.ladder, torch.device("cpu")):
            torch.testing.assert_close(backbone.features(batch), found)
        torch.testing.assert_close(backbone.features(batch), found)


def test_a_training_on_a_backbone_with_idle_slots_is_the_same() -> None:
    found = []
    for idle in (False, True):
        backbone = tiny("bert")
        slots = Slots(Model(backbone.module, nn.Identity()))
        if idle:
            slots.put("other", method_of("lora").attach(backbone, nn.Linear(32, 2)).edits)
        with adapted(setting_of(backbone), method_of("lora", learning_rate=1e-2), 0) as done:
            found.append({name: value.clone() for name, value in done.model.state_dict().items()})
        slots.close()
    assert found[0].keys() == found[1].keys()
    assert all(torch.equal(value, found[1][name]) for name, value in found[0].items())


def test_an_edit_that_is_no_part_or_has_no_room_is_refused() -> None:
    model = net()
    slots = Slots(model)
    with pytest.raises(Exception, match="has a 'bias' already"):
        slots.put("a", [plus(1.0), Edit("0", lambda module: Plus(1.0), "bias")])
    with pytest.raises(Exception, match="runs its children in turn"):
        slots.put("a", [plus(1.0), plus(1.0, "")])
    assert not any("forward" in module.__dict__ for module in model)
