"""Prefix tuning against PEFT and against attention written out by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from backbones.tiny import batch_of, save, tiny
from contract.settings import method_of, setting_of
from headstart.backbones.backbone import Backbone
from headstart.backbones.loaders.load import load
from headstart.core.errors import MethodError, ModelError
from headstart.engine.adapt import adapted
from headstart.methods.plan import Model


def model_of(backbone: Backbone) -> Model:
    return Model(backbone.module, nn.Linear(backbone.dimension, 2))


@pytest.mark.parametrize("family", ["bert", "gpt2", "llama", "qwen3"])
@pytest.mark.parametrize("padded", [False, True])
def test_hidden_states_are_peft_s(family: str, padded: bool, tmp_path: Path) -> None:
    """Grouped queries, rotary and learned positions, causal masks; padding on the right."""
    from peft import PrefixTuningConfig, get_peft_model
    from transformers import AutoModel

    torch.manual_seed(0)
    folder = save(family, tmp_path / "m")
    backbone, p = load(str(folder), max_length=48), 5
    batch = batch_of(backbone)
    batch.pop("token_type_ids", None)
    if not padded:
        batch = {k: v[:, :7] for k, v in batch.items()}
        batch["attention_mask"] = torch.ones_like(batch["attention_mask"])
    theirs = get_peft_model(
        AutoModel.from_pretrained(folder, attn_implementation="eager"),
        PrefixTuningConfig(task_type="FEATURE_EXTRACTION", num_virtual_tokens=p),
    ).eval()
    rows = theirs.prompt_encoder["default"].embedding.weight  # [p, layers * 2 * kv * d]
    with torch.no_grad():
        rows.copy_(torch.randn_like(rows))
    plan, model = method_of("prefix", tokens=p).attach(backbone, nn.Linear(backbone.dimension, 2)), model_of(backbone)
    with plan.applied(model), torch.no_grad():
        model.eval()
        sites = [m for m in backbone.module.modules() if type(m).__name__ == "AttentionPrefix"]
        for site, (keys, values) in zip(sites, rows.view(p, len(sites), 2, -1).permute(1, 2, 0, 3), strict=True):
            site.keys.copy_(keys)
            site.values.copy_(values)
        extra = {"use_cache": False} if backbone.kind == "decoder" else {}
        ours = backbone.module(**batch, **extra).last_hidden_state
        expected = theirs(**batch).last_hidden_state
    real = batch["attention_mask"].bool()
    assert ours.shape == expected.shape
    torch.testing.assert_close(ours[real], expected[real], rtol=1e-4, atol=1e-5)
    with torch.no_grad():
        plain = backbone.module(**batch, **extra).last_hidden_state
    assert not torch.allclose(plain[real], ours[real], atol=1e-2), "the prefix has an effect"


def test_a_vision_transformer_by_hand() -> None:
    """One attention site of a ViT, its keys and values with the prefix in front."""
    torch.manual_seed(0)
    backbone = tiny("timm_vit")
    plan, model = method_of("prefix", tokens=3, spread=1.0).attach(backbone, nn.Linear(32, 2)), model_of(backbone)
    x = torch.randn(2, 17, 32)
    with plan.applied(model), torch.no_grad():
        base = backbone.module.blocks[0].attn
        base.eval()
        found, prefix = base(x), base.prefix
        q, k, v = base.qkv(x).reshape(2, 17, 3, 4, 8).permute(2, 0, 3, 1, 4)
        pk, pv = (t.reshape(3, 4, 8).transpose(0, 1).expand(2, 4, 3, 8) for t in (prefix.keys, prefix.values))
        weights = (q @ torch.cat([pk, k], 2).transpose(-1, -2) / 8**0.5).softmax(-1)
        expected = base.proj((weights @ torch.cat([pv, v], 2)).transpose(1, 2).reshape(2, 17, 32))
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("family", ["bert", "distilbert", "modernbert", "llama"])
def test_padding_has_no_influence(family: str) -> None:
    backbone = tiny(family, max_length=48)
    preparation = backbone.preparation
    plan, model = method_of("prefix", tokens=4, spread=1.0).attach(backbone, nn.Linear(32, 2)), model_of(backbone)
    texts = ["good film", "a very bad film and the story is awful too"]
    with plan.applied(model), torch.no_grad():
        model.eval()
        together = backbone.features(preparation.collate(preparation.encode(texts)))
        apart = torch.cat([backbone.features(preparation.collate(preparation.encode([t]))) for t in texts])
    torch.testing.assert_close(together, apart, rtol=1e-4, atol=1e-5)


def test_the_mlp_makes_the_rows() -> None:
    """Reparametrised: what trains is the MLP; its rows, put in directly, give the same features."""
    backbone = tiny("bert")
    torch.manual_seed(0)
    method = method_of("prefix", tokens=3, reparametrise=True, hidden=8)
    plan, model, batch = method.attach(backbone, nn.Linear(32, 2)), model_of(backbone), batch_of(backbone)
    assert {n for n in plan.trained() if "keys" in n or "values" in n} == set()
    with plan.applied(model), torch.no_grad():
        model.eval()
        expected = backbone.features(batch)
        rows = backbone.module.prefix.rows()
    assert rows.shape == (3, 3 * 2 * 32)
    direct = method_of("prefix", tokens=3).attach(backbone, nn.Linear(32, 2))
    with direct.applied(model), torch.no_grad():
        model.eval()
        sites = [m for m in backbone.module.modules() if type(m).__name__ == "AttentionPrefix"]
        for number, site in enumerate(sites):
            site.keys.copy_(rows[:, 64 * number : 64 * number + 32])
            site.values.copy_(rows[:, 64 * number + 32 : 64 * number + 64])
        torch.testing.assert_close(backbone.features(batch), expected)
    with adapted(setting_of(backbone), method, 0) as done:
        assert done.trace.status == "ok"


REFUSED = {
    "deberta_v2": "scaled_dot_product",
    "torchvision_vit": "separated",
    "gemma2": "softcap",
    "timm_resnet": "no attention",
}


@pytest.mark.parametrize(("family", "says"), REFUSED.items())
def test_attention_of_another_kind_is_refused_before_training(family: str, says: str) -> None:
    backbone = tiny(family)
    with pytest.raises(MethodError, match=says):
        method_of("prefix").attach(backbone, nn.Linear(32, 2))


def test_a_text_too_long_for_the_positions_is_told() -> None:
    backbone = tiny("gpt2")
    plan, model = method_of("prefix", tokens=8).attach(backbone, nn.Linear(32, 2)), model_of(backbone)
    batch = backbone.preparation.collate(backbone.preparation.encode(["x" * 60]))
    with plan.applied(model), pytest.raises(MethodError, match="--max-length 56"):
        backbone.features(batch)


def test_it_does_not_merge() -> None:
    from headstart.artifacts.exchange.merge import merge

    backbone = tiny("bert")
    plan, model = method_of("prefix", tokens=2).attach(backbone, nn.Linear(32, 2)), model_of(backbone)
    with plan.applied(model), pytest.raises(ModelError, match="can't be merged.*--format peft"):
        merge(model.backbone)
