"""The contract on timm's architectures, with random weights: each has a ladder, and methods attach, learn and leave.

What tiny backbones lack stands here: padding as TensorFlow's, standardised weights, grouped and depthwise convolutions,
blocks that join many ways, pooling without parameters, windows of attention.
"""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch

from headstart.artifacts.exchange.merge import merge
from headstart.backbones.backbone import Backbone
from headstart.backbones.loaders.load import load
from headstart.core.errors import MethodError, ModelError
from headstart.engine.adapt import adapted

from .settings import logits_of, method_of, rising, setting_of, state_of

SIZES = {
    "resnet18": 32, "efficientnet_b0": 32, "tf_efficientnet_b0": 32, "tf_efficientnetv2_b0": 32,
    "tf_mobilenetv3_small_100": 33, "resnetv2_50": 32, "nf_resnet50": 32, "convnext_atto": 32,
    "mobilenetv4_conv_small": 32, "densenet121": 32, "regnetx_002": 32, "vgg11": 32, "xception41": 33,
    "inception_v3": 96, "mixnet_s": 32, "tf_mixnet_s": 35, "repvgg_a0": 32, "ghostnet_100": 32,
    "efficientformer_l1": 224, "fastvit_t8": 64, "vit_tiny_patch16_224": 32, "swin_tiny_patch4_window7_224": 56,
    "resnetv2_50x1_bit": 32, "eca_nfnet_l0": 32, "tf_efficientnet_lite0": 37,
}  # fmt: skip
"architectures and the side of their images; an odd one is padded on one side more than on the other"

FAST = ("tf_mobilenetv3_small_100", "regnetx_002", "ghostnet_100")
METHODS = ("lora", "conv_adapter", "bitfit", "norms", "freeze", "ia3")
ATTENDS = ("efficientformer_l1", "vit_tiny_patch16_224", "swin_tiny_patch4_window7_224")
STANDARDISED = ("nf_resnet50", "resnetv2_50x1_bit", "eca_nfnet_l0")
NOT_APPLICABLE = {
    **{("conv_adapter", name): "no convolutional network" for name in ATTENDS},
    **{("norms", name): "no norm" for name in ("nf_resnet50", "vgg11", "eca_nfnet_l0")},
    ("ia3", "efficientformer_l1"): "can't be separated",
}


def built(name: str) -> Backbone:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return load(f"timm/{name}", weights=False, image_size=SIZES[name])


@pytest.fixture(scope="module", params=[pytest.param(n, marks=[] if n in FAST else pytest.mark.slow) for n in SIZES])
def backbone(request: pytest.FixtureRequest) -> Backbone:
    found = built(request.param)
    found.options["name"] = request.param
    return found


def test_its_ladder_has_a_rung_a_block(backbone: Backbone) -> None:
    names = [name for rung in backbone.ladder.rungs for name in rung.parameters]
    assert sorted(names) == sorted(dict(backbone.module.named_parameters()))
    assert len(backbone.ladder) >= 4
    assert backbone.ladder.sites_of("conv", "linear")


PAIRS = [(name, method) for name in SIZES for method in METHODS]
SOME = [(name, method) for name in FAST for method in METHODS[FAST.index(name) :: len(FAST)]]
"each method by default on one of the fast architectures"


@pytest.mark.parametrize(
    ("backbone", "method"),
    [pytest.param(*pair, marks=[] if pair in SOME else pytest.mark.slow) for pair in PAIRS],
    indirect=["backbone"], scope="module",
)  # fmt: skip
def test_a_method_learns_is_merged_and_leaves(backbone: Backbone, method: str) -> None:
    name = backbone.options["name"]
    setting = setting_of(backbone, count=4, held_out=4, batch_size=4, epochs=1, score=rising(), cache=False)
    before = state_of(backbone.module)
    if (method, name) in NOT_APPLICABLE:
        with pytest.raises(MethodError, match=NOT_APPLICABLE[method, name]), adapted(setting, method_of(method), 0):
            pass
        return
    backbone.module.eval()
    batch = setting.validation.batch(torch.arange(4).numpy())
    with torch.no_grad():
        plain = backbone.features(batch)
    with adapted(setting, method_of(method), 0) as done:
        assert done.trace.status == "ok"
        assert done.trace.steps == 1
        done.model.eval()
        with torch.no_grad():
            tuned = backbone.features(batch)
        assert not torch.allclose(tuned, plain, rtol=1e-4, atol=1e-6 * float(plain.abs().max())), "nothing changed"
        logits = logits_of(backbone, done.model.head, setting.validation, done.plan)
        twin = copy.deepcopy(done.model)
        if method == "conv_adapter" or (method == "ia3" and name in STANDARDISED):
            with pytest.raises(ModelError, match="can't be merged"):
                merge(twin.backbone)
        else:
            assert merge(twin.backbone) == len(done.plan.edits)
            types = {n: type(m) for n, m in twin.backbone.named_modules()}
            assert types.keys() == dict(built(name).module.named_modules()).keys() or not done.plan.edits
            merged = logits_of(replace(backbone, module=twin.backbone), twin.head, setting.validation, done.plan)
            torch.testing.assert_close(merged, logits, rtol=1e-3, atol=1e-4 * max(1.0, float(logits.abs().max())))
    changed = [n for n, value in state_of(backbone.module).items() if not torch.equal(value, before[n])]
    assert not changed
