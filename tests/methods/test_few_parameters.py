"""(IA)3 against PEFT; BitFit and norm tuning by exactly what they train."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from backbones.tiny import batch_of, bytelevel, tiny
from contract.settings import method_of
from headstart.backbones.loaders.load import load
from headstart.core.errors import MethodError
from headstart.methods.adapters.ia3 import Scales
from headstart.methods.plan import Model


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("family", "keys", "forward"),
    [("bert", ["key", "value"], "layer.[0-9].output.dense"), ("llama", ["k_proj", "v_proj"], "down_proj"),
     ("vit", ["k_proj", "v_proj"], "fc2")],
)  # fmt: skip
def test_ia3_is_peft_s(family: str, keys: list[str], forward: str) -> None:
    from peft import IA3Config, get_peft_model

    backbone = tiny(family)
    batch = batch_of(backbone)
    pattern = rf".*({'|'.join(keys)}|{forward})$"
    inner = rf".*{forward}$"
    theirs = get_peft_model(
        copy.deepcopy(backbone.module), IA3Config(target_modules=pattern, feedforward_modules=inner)
    ).eval()
    layers = {n.removeprefix("base_model.model."): m for n, m in theirs.named_modules() if hasattr(m, "ia3_l")}
    plan = method_of("ia3").attach(backbone, nn.Linear(backbone.dimension, 2))
    with plan.applied(Model(backbone.module, nn.Linear(backbone.dimension, 2))), torch.no_grad():
        backbone.module.eval()
        ours = {n.removesuffix(".ia3"): m for n, m in backbone.module.named_modules() if isinstance(m, Scales)}
        assert ours.keys() == layers.keys()
        torch.manual_seed(0)
        for path, one in ours.items():
            one.scale.copy_(1 + 0.5 * torch.randn_like(one.scale))
            layers[path].ia3_l["default"].copy_(one.scale.reshape(layers[path].ia3_l["default"].shape))
        found, expected = backbone.features(batch), backbone.run(theirs.base_model.model, batch)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_ia3_refuses_keys_and_values_that_lie_head_by_head() -> None:
    """GPT-NeoX's fused layer holds [heads, 3, size]: its last two thirds are no keys and values."""
    from transformers import GPTNeoXConfig, GPTNeoXModel

    config = GPTNeoXConfig(
        vocab_size=300, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64
    )
    module = GPTNeoXModel(config)
    with pytest.raises(MethodError, match="can't be separated"):
        method_of("ia3").attach(load(module, tokenizer=bytelevel()), nn.Linear(32, 2))


def test_ia3_scales_keys_and_values_of_a_fused_layer_alone() -> None:
    backbone = tiny("gpt2")
    plan = method_of("ia3").attach(backbone, nn.Linear(32, 2))
    attn, x = backbone.module.h[0].attn.c_attn, torch.randn(2, 32)
    plain = attn(x)
    with plan.applied(Model(backbone.module, nn.Linear(32, 2))), torch.no_grad():
        attn.ia3.scale.copy_(torch.arange(64.0))
        found = attn(x)
    torch.testing.assert_close(found[:, :32], plain[:, :32])
    torch.testing.assert_close(found[:, 32:], plain[:, 32:] * torch.arange(64.0))


def names(family: str, method: str) -> set[str]:
    backbone = tiny(family)
    plan = method_of(method).attach(backbone, nn.Linear(backbone.dimension, 2))
    assert not plan.edits
    return {n.removeprefix("backbone.") for n in plan.trained() if n.startswith("backbone.")}


@pytest.mark.parametrize("family", ["bert", "gpt2", "timm_resnet", "vit"])
def test_bitfit_trains_every_bias_and_nothing_else(family: str) -> None:
    own = {n for n, _ in tiny(family).module.named_parameters() if n.endswith("bias")}
    assert own
    assert names(family, "bitfit") == own


def test_bitfit_trains_a_recurrent_network_s_biases() -> None:
    assert names("lstm", "bitfit") == {f"{m}.bias_{k}_l0" for m in ("lower", "upper") for k in ("ih", "hh")}


@pytest.mark.parametrize("family", ["bert", "llama", "timm_resnet", "timm_convnext"])
def test_norms_trains_the_norms(family: str) -> None:
    module = tiny(family).module
    norms = [n for n, m in module.named_modules() if "norm" in type(m).__name__.lower()]
    assert norms
    own = {n for n, _ in module.named_parameters() if n.rpartition(".")[0] in norms}
    assert names(family, "norms") == own
