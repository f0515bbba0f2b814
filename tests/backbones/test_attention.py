"""Projections by structure, against what each tiny model's configuration says."""

from __future__ import annotations

import copy

import pytest
import timm
import torch
from torch.nn import functional as F

from backbones.tiny import tiny
from headstart.backbones.ladder.attention import output_projection, projections
from headstart.backbones.loaders.load import load
from headstart.backbones.loaders.timm import wrap
from headstart.engine.cache.frozen import forward_alone
from headstart.engine.machine.precision import compute

SEPARATE = {
    "bert": ("query", "key", "value", "attention.output.dense", "output.dense"),
    "electra": ("query", "key", "value", "attention.output.dense", "output.dense"),
    "distilbert": ("q_lin", "k_lin", "v_lin", "out_lin", "ffn.lin2"),
    "deberta_v2": ("query_proj", "key_proj", "value_proj", "attention.output.dense", "output.dense"),
    "albert": ("query", "key", "value", "attention.dense", "ffn_output"),
    "llama": ("q_proj", "k_proj", "v_proj", "o_proj", "down_proj"),
    "gemma2": ("q_proj", "k_proj", "v_proj", "o_proj", "down_proj"),
    "t5": ("q", "k", "v", "o", "DenseReluDense.wo"),
    "vit": ("q_proj", "k_proj", "v_proj", "o_proj", "fc2"),
    "clip_vision": ("q_proj", "k_proj", "v_proj", "out_proj", "fc2"),
}
FUSED = {
    "gpt2": ("c_attn", "attn.c_proj", "mlp.c_proj"),
    "modernbert": ("Wqkv", "attn.Wo", "mlp.Wo"),
    "timm_vit": ("qkv", "attn.proj", "mlp.fc2"),
}


@pytest.mark.parametrize("family", [*SEPARATE, *FUSED])
def test_every_site_has_its_projections(family: str) -> None:
    backbone = tiny(family)
    sites = backbone.ladder.sites_of("attention")
    assert sites
    for site in sites:
        found = projections(backbone.module, site)
        assert found is not None
        parts = (found.query, found.key, found.value)
        ends = [part.path.removeprefix(f"{site.path}.") for part in parts]
        grouped = family in ("llama", "gemma2")  # four heads of 8 share two key-value heads
        assert (found.heads, found.key_value_heads, found.head_size) == (4, 2 if grouped else 4, 8)
        if family in SEPARATE:
            assert ends == list(SEPARATE[family][:3])
            assert [(p.start, p.stop) for p in parts] == [
                (0, 32),
                (0, 16 if grouped else 32),
                (0, 16 if grouped else 32),
            ]
        else:
            assert ends == 3 * [FUSED[family][0]]
            assert [(p.start, p.stop) for p in parts] == [(0, 32), (32, 64), (64, 96)]
        wanted = (SEPARATE.get(family) or FUSED[family])[-2:]
        for part, end in zip(("attention", "feedforward"), wanted):
            out = output_projection(backbone.module, backbone.ladder, site.rung, part)
            assert out is not None
            assert out.path.endswith(f".{end}")
            assert out.outputs == 32


@pytest.mark.skipif(torch.cuda.is_available(), reason="on a GPU timm's fused attention stays")
@pytest.mark.parametrize("live", [False, True])
def test_on_a_cpu_timms_attention_is_plain_and_gives_the_same(live: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    network = timm.create_model("vit_tiny_patch16_224", img_size=32, depth=2, num_classes=0).eval()
    pixels = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        fused = network(pixels)
    backbone = load(network, image_size=32) if live else wrap(copy.deepcopy(network), image_size=32)
    assert network.blocks[0].attn.fused_attn  # the user's own stays as it is
    monkeypatch.setattr(F, "scaled_dot_product_attention", None)  # whoever calls it fails
    with torch.no_grad():
        torch.testing.assert_close(backbone.features({"pixel_values": pixels}), fused, rtol=1e-4, atol=1e-5)


@pytest.mark.skipif(torch.cuda.is_available(), reason="on a GPU timm's fused attention stays")
def test_forward_alone_attention_is_fused_where_the_processor_has_amx(monkeypatch: pytest.MonkeyPatch) -> None:
    backbone = load(timm.create_model("vit_tiny_patch16_224", img_size=32, depth=2, num_classes=0), image_size=32)
    batch, calls, plain = {"pixel_values": torch.randn(2, 3, 32, 32)}, [], F.scaled_dot_product_attention
    monkeypatch.setattr(F, "scaled_dot_product_attention", lambda *a, **k: (calls.append(1), plain(*a, **k))[1])
    computing, found = compute("cpu", "bf16"), []
    for amx, expected in ((True, 2), (False, 0)):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda amx=amx: {"amx_bf16": amx}, raising=False)
        calls.clear()
        with torch.no_grad(), forward_alone(backbone.module, computing), computing.autocast():
            found.append(backbone.features(batch).float())
        assert len(calls) == expected
    torch.testing.assert_close(*found, rtol=0.03, atol=0.03)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": True}, raising=False)
    calls.clear()
    with forward_alone(backbone.module, compute("cpu", "fp32")):
        backbone.features(batch)
    backbone.features(batch)
    assert not calls, "in fp32, and afterwards, it is as it was"
    with forward_alone(backbone.module, computing), computing.autocast():
        with forward_alone(backbone.module, computing):
            pass
        backbone.features(batch)
    assert len(calls) == 2, "one within another leaves it on"


def test_attention_over_many_patches_stays_fused() -> None:
    """Written out, it would keep a table of patches by patches for each head and layer."""
    network = timm.create_model("vit_tiny_patch16_224", img_size=288, depth=1, num_classes=0)
    assert load(network, image_size=288).module.blocks[0].attn.fused_attn  # type: ignore[union-attr, index]


def test_windows_have_heads_of_their_stage() -> None:
    backbone = tiny("timm_swin")
    found = [projections(backbone.module, site) for site in backbone.ladder.sites_of("attention")]
    assert [(p.heads, p.head_size) for p in found if p] == [(2, 8), (2, 16), (2, 16)]


def test_torch_s_own_attention_fuses_its_projections() -> None:
    backbone = tiny("torchvision_vit")
    site = backbone.ladder.sites_of("attention")[0]
    assert projections(backbone.module, site) is None
    out = output_projection(backbone.module, backbone.ladder, site.rung, "attention")
    assert out is not None
    assert out.path == site.path
