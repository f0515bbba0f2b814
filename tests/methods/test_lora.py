"""LoRA against PEFT, an independent implementation, and what it says where it can't go."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import nn

from backbones.tiny import batch_of, tiny
from contract.settings import setting_of
from headstart.artifacts.exchange.merge import merge
from headstart.backbones.backbone import Backbone
from headstart.core.errors import MethodError
from headstart.engine.adapt import adapted
from headstart.methods.adapters.lora import Lora
from headstart.methods.adapters.lora_update import LoraUpdate
from headstart.methods.plan import Model
from methods.updates import called, merged

CASES = [
    ("bert", ("query", "value"), {}),
    ("bert", ("query", "dense"), {"rank_stabilised": True}),
    ("gpt2", ("c_attn", "c_proj", "c_fc"), {}),
    ("llama", ("q_proj", "down_proj"), {}),
    ("timm_resnet", ("0.conv1", "conv2"), {}),
    ("plain", ("conv1", "conv2", "fc1"), {"rank_stabilised": True}),
    ("bert", ("query", "dense"), {"dora": True}),
    ("gpt2", ("c_attn", "c_fc"), {"dora": True}),
    ("timm_resnet", ("0.conv1", "conv2"), {"dora": True}),
]


def _theirs(backbone: Backbone, targets: tuple[str, ...], settings: dict[str, Any]) -> nn.Module:
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        r=4, lora_alpha=6.0, target_modules=list(targets), lora_dropout=0.0, bias="none",
        use_rslora=settings.get("rank_stabilised", False), use_dora=settings.get("dora", False),
    )  # fmt: skip
    return get_peft_model(copy.deepcopy(backbone.module), config)


def _layers(root: nn.Module, first: str) -> dict[str, nn.Module]:
    return {n.removeprefix("base_model.model."): m for n, m in root.named_modules() if hasattr(m, first)}


@pytest.mark.filterwarnings("ignore:fan_in_fan_out")
@pytest.mark.parametrize(("family", "targets", "settings"), CASES)
def test_equal_to_peft_with_its_weights(family: str, targets: tuple[str, ...], settings: dict[str, Any]) -> None:
    """Features, one step of AdamW, and the merged weights."""
    torch.manual_seed(0)
    backbone = tiny(family)
    theirs = _theirs(backbone, targets, settings)
    their_layers = _layers(theirs, "lora_A")
    for layer in their_layers.values():  # B begins at zero; away from it, A gets gradients too
        nn.init.normal_(layer.lora_B["default"].weight, std=0.1)
    head = nn.Linear(backbone.dimension, 2)
    method = Lora(rank=4, alpha=6.0, targets=targets, learning_rate=1e-2, **settings)
    plan = method.attach(backbone, head)
    batch = batch_of(backbone)
    with plan.applied(Model(backbone.module, head)) as model:
        model.eval()
        theirs.eval()
        ours = {
            n.removeprefix("backbone.").removesuffix(".lora"): m
            for n, m in model.named_modules()
            if isinstance(m, LoraUpdate)
        }
        assert ours.keys() == their_layers.keys()
        assert ours
        with torch.no_grad():
            base = backbone.features(batch)
            for path, layer in ours.items():
                layer.lora_a.weight.copy_(their_layers[path].lora_A["default"].weight)
                layer.lora_b.weight.copy_(their_layers[path].lora_B["default"].weight)
                if layer.magnitude is not None:  # both begin as the norms of the base's rows
                    theirs_m = their_layers[path].lora_magnitude_vector["default"].weight
                    torch.testing.assert_close(layer.magnitude, theirs_m.flatten())
                    theirs_m.mul_(1.3)
                    layer.magnitude.mul_(1.3)

        def features(module: nn.Module) -> torch.Tensor:
            return backbone.run(module, batch)

        found, expected = features(model.backbone), features(theirs.base_model.model)
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
        assert float((found - base).detach().abs().max()) > 1e-2, "the update does nothing here"

        steps = []
        for module, parts in ((model.backbone, ours), (theirs.base_model.model, their_layers)):
            weights = [p for n, p in module.named_parameters() if "lora_" in n or n.endswith(".magnitude")]
            assert len(weights) == 2 * len(parts) or settings.get("dora")
            optimizer = torch.optim.SGD(weights, lr=0.1)
            features(module).square().mean().backward()
            optimizer.step()
            steps.append(features(module).detach())
        torch.testing.assert_close(steps[0], steps[1], rtol=1e-5, atol=1e-5)
        assert not torch.allclose(steps[0], found, atol=1e-5)
        for path, layer in ours.items():
            torch.testing.assert_close(layer.lora_a.weight, their_layers[path].lora_A["default"].weight)
            torch.testing.assert_close(layer.lora_b.weight, their_layers[path].lora_B["default"].weight)
            torch.testing.assert_close(layer.delta(), their_layers[path].get_delta_weight("default"))

        plain, merged = copy.deepcopy(model.backbone), theirs.merge_and_unload()
        assert merge(plain) == len(ours)
        for (name, mine), (their_name, their) in zip(plain.named_parameters(), merged.named_parameters(), strict=True):
            assert name == their_name
            torch.testing.assert_close(mine, their, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("family", ["bert", "gpt2", "timm_resnet"])
def test_pissa_takes_the_leading_singular_vectors(family: str) -> None:
    """Step 0 is the base, s B A the best approximation of its rank, and the base's own weights stay."""
    torch.manual_seed(0)
    backbone = tiny(family)
    batch, head = batch_of(backbone), nn.Linear(backbone.dimension, 2)
    plan = Lora(rank=3, alpha=6.0, start="pissa").attach(backbone, head)
    backbone.module.eval()
    with torch.no_grad():
        plain = backbone.features(batch)
    with plan.applied(Model(backbone.module, head)) as model:
        layers = [m for m in model.modules() if isinstance(m, LoraUpdate)]
        assert layers
        with torch.no_grad():
            torch.testing.assert_close(backbone.features(batch), plain, rtol=1e-4, atol=1e-5)
            for layer in layers:
                rows = (layer.weight.T if layer.transposed else layer.weight).flatten(1)
                low = 2.0 * layer.lora_b.weight.flatten(1) @ layer.lora_a.weight.flatten(1)
                u, s, v = torch.linalg.svd(rows, full_matrices=False)
                torch.testing.assert_close(low, u[:, :3] * s[:3] @ v[:3], rtol=1e-3, atol=1e-4)
                assert float(layer.delta().abs().max()) < 1e-6
                layer.lora_b.weight.mul_(1.1)
            moved = backbone.features(batch)
            assert not torch.allclose(moved, plain, atol=1e-3)
            twin = copy.deepcopy(model.backbone)
            merge(twin)
            torch.testing.assert_close(backbone.run(twin, batch), moved, rtol=1e-4, atol=1e-4)


def test_pissa_of_a_rank_above_the_layer_s_own() -> None:
    layer = LoraUpdate(nn.Linear(5, 3), rank=4, scale=2.0, start="pissa")
    torch.testing.assert_close(2.0 * layer.lora_b.weight @ layer.lora_a.weight, layer.weight)
    assert float(layer.delta().detach().abs().max()) == 0.0


def test_pissa_is_peft_s() -> None:
    from peft import LoraConfig, get_peft_model

    backbone = tiny("bert")
    config = LoraConfig(r=4, lora_alpha=8.0, target_modules=["query"], init_lora_weights="pissa")
    theirs = get_peft_model(copy.deepcopy(backbone.module), config)
    plan = Lora(rank=4, alpha=8.0, start="pissa", targets=("query",)).attach(backbone, nn.Linear(32, 2))
    with plan.applied(Model(backbone.module, nn.Linear(32, 2))):
        ours = {n.removesuffix(".lora"): m for n, m in backbone.module.named_modules() if isinstance(m, LoraUpdate)}
        for path, layer in _layers(theirs, "lora_A").items():
            product = layer.lora_B["default"].weight @ layer.lora_A["default"].weight
            torch.testing.assert_close(
                ours[path].lora_b.weight @ ours[path].lora_a.weight, product, rtol=1e-3, atol=1e-4
            )


def test_ranks_by_rung_and_by_pattern() -> None:
    backbone = tiny("bert")
    ranks = ("encoder.layer.0=0", "encoder.layer.2=6", "*.layer.2.*.query=2")
    plan = Lora(rank=4, alpha=8.0, ranks=ranks, targets=("query", "value")).attach(backbone, nn.Linear(32, 2))
    with plan.applied(Model(backbone.module, nn.Linear(32, 2))) as model:
        updates = {n.removesuffix(".lora"): m for n, m in model.named_modules() if isinstance(m, LoraUpdate)}
        found = {n: (m.lora_a.out_features, m.scale) for n, m in updates.items()}
    self = "backbone.encoder.layer.{}.attention.self.{}"
    assert found == {
        self.format(1, "query"): (4, 2.0), self.format(1, "value"): (4, 2.0),
        self.format(2, "query"): (2, 4.0), self.format(2, "value"): (6, 8 / 6),
    }  # fmt: skip
    assert plan.cut(0.0) == 2, "a rung that is left out is kept"


@pytest.mark.parametrize(
    ("ranks", "says"),
    [(("encoder.layer.9=4",), "no layer fits"), (("encoder.layer.1",), "PATTERN=RANK"), (("*=0",), "every layer")],
)
def test_ranks_that_fit_nothing_are_told(ranks: tuple[str, ...], says: str) -> None:
    with pytest.raises(MethodError, match=says):
        Lora(ranks=ranks).attach(tiny("bert"), nn.Linear(32, 2))


def test_one_number_by_hand() -> None:
    """W = 2, A = 3, B = 5, alpha / rank = 4 / 1: y = 2 x + 4 · 5 · 3 x + 1."""
    base = nn.Linear(1, 1)
    nn.init.constant_(base.weight, 2.0)
    nn.init.constant_(base.bias, 1.0)
    layer = LoraUpdate(base, rank=1, scale=4.0, dropout=0.0)
    nn.init.constant_(layer.lora_a.weight, 3.0)
    nn.init.constant_(layer.lora_b.weight, 5.0)
    assert called(layer, torch.ones(1, 1)).item() == 63.0
    assert merged(layer)(torch.ones(1, 1)).item() == 63.0
    assert base.weight.item() == 2.0


def test_dropout_acts_on_the_update_alone() -> None:
    torch.manual_seed(0)
    layer = LoraUpdate(nn.Linear(64, 1, bias=False), rank=1, scale=1.0, dropout=0.5)
    nn.init.ones_(layer.lora_a.weight)
    nn.init.ones_(layer.lora_b.weight)
    x = torch.ones(500, 64)
    update = (called(layer, x) - layer.base(x)).flatten().detach()
    assert 60 < float(update.mean()) < 68  # the expectation stays 64
    assert float(update.std()) > 4  # 8 = sqrt(64 (1 - p) / p)
    layer.eval()
    assert called(layer, x).unique().numel() == 1


@pytest.mark.parametrize(
    ("family", "targets", "expected"),
    [
        ("bert", ("attention",), {"query", "key", "value", "attention.output.dense"}),
        ("bert", ("feedforward",), {"intermediate.dense", "r.0.output.dense", "r.1.output.dense", "r.2.output.dense"}),
        ("bert", ("*.1.*.query",), {"encoder.layer.1.attention.self.query"}),
        ("vit", ("conv",), {"projection"}),
        ("plain", ("all",), {"conv1", "conv2", "fc1"}),
        ("plain", ("conv2", "fc1"), {"conv2", "fc1"}),
    ],
)
def test_targets(family: str, targets: tuple[str, ...], expected: set[str]) -> None:
    paths = [site.path for site in Lora(targets=targets).sites(tiny(family))]
    assert paths
    for path in paths:
        assert any(path.endswith(end) for end in expected), path
    for end in expected:
        assert any(path.endswith(end) for path in paths), end


def test_auto_takes_the_kind_with_more_weights() -> None:
    for family, kind in (("bert", nn.Linear), ("vit", nn.Linear), ("timm_resnet", nn.Conv2d), ("plain", nn.Linear)):
        backbone = tiny(family)
        paths = [site.path for site in Lora().sites(backbone)]
        assert paths
        assert all(isinstance(backbone.module.get_submodule(path), kind) for path in paths)


def test_a_target_that_matches_nothing_lists_what_would() -> None:
    backbone = tiny("bert")
    with pytest.raises(MethodError, match=r"'q_proj' matches no layer.*attention.*encoder\.layer\.0\.attention"):
        Lora(targets=("query", "q_proj")).attach(backbone, nn.Linear(32, 2))
    with pytest.raises(MethodError, match=r"'conv' matches no layer"):
        Lora(targets=("conv",)).attach(backbone, nn.Linear(32, 2))


@pytest.mark.parametrize(
    ("settings", "message"), [({"rank": 0}, "rank is 0"), ({"dropout": 1.0}, "dropout is 1.0, but has to lie in")]
)
def test_settings_out_of_range(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(MethodError, match=message):
        Lora(**settings).attach(tiny("mlp"), nn.Linear(32, 2))


def test_grouped_convolutions_are_left_out() -> None:
    backbone = tiny("timm_convnext")
    for site in Lora(targets=("conv", "linear") if backbone.ladder.sites_of("linear") else ("conv",)).sites(backbone):
        assert getattr(backbone.module.get_submodule(site.path), "groups", 1) == 1
    assert any(getattr(m, "groups", 1) > 1 for m in backbone.module.modules())


class Bypassing(nn.Module):
    """Reads the weight of a layer without calling it, as fused kernels do."""

    def __init__(self) -> None:
        super().__init__()
        self.flat, self.first, self.second = nn.Flatten(), nn.Linear(3 * 8 * 8, 16), nn.Linear(16, 16)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.first(self.flat(x)))
        return nn.functional.linear(x, self.second.weight, self.second.bias)


def test_an_adapter_that_is_not_applied_is_an_error() -> None:
    from headstart.backbones.loaders.load import load

    backbone = load(Bypassing(), image_size=8, mean=(0.5,) * 3, std=(0.5,) * 3)
    assert "second" in {site.path for site in Lora().sites(backbone)}
    setting = setting_of(backbone)
    with (
        pytest.raises(MethodError, match=r"put at backbone\.second is not applied.*choose targets without it"),
        adapted(setting, Lora(), 0),
    ):
        pass
    with adapted(setting, Lora(targets=("first",)), 0) as done:
        assert done.trace.steps == 6


def test_only_the_factors_train_and_are_counted() -> None:
    backbone = tiny("bert")
    with adapted(setting_of(backbone), Lora(rank=2, targets=("query",)), 0) as done:
        # 3 layers, A [2, 32] and B [32, 2] each; head [3, 32] and 3 biases
        assert done.trained_parameters == 3 * (2 * 32 + 32 * 2) + 3 * 32 + 3
        assert done.trained_share == done.trained_parameters / (backbone.parameters + 3 * 32 + 3)
