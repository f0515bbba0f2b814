"""LSTMs under autocast: on any CPU they work and learn, and where it has none in bf16 they compute in float32."""

from __future__ import annotations

import pytest
import torch

from headstart.backbones.loaders.vector_backbone import BiLSTM
from headstart.backbones.networks.awd_lstm import Layer

MASK = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])


def layer(kind: str) -> torch.nn.LSTM:
    torch.manual_seed(0)
    return Layer(4, 3, weights=0.5, after=0.0) if kind == "awd" else BiLSTM(4, 3)


@pytest.mark.parametrize("here", [True, False], ids=["as it is", "without bf16"])
@pytest.mark.parametrize(("kind", "more"), [("awd", ()), ("bilstm", ()), ("bilstm", (MASK,))])
def test_bf16_on_any_processor(
    kind: str, more: tuple[torch.Tensor, ...], here: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not here:
        monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: False)
    hidden = torch.randn(2, 5, 4, generator=torch.Generator().manual_seed(0))
    found, gradients = [], []
    for bf16 in (False, True):
        one = layer(kind)
        torch.manual_seed(1)  # of the dropped weights
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            found.append(one(hidden, *more).float())
        found[-1].square().sum().backward()
        gradients.append(one.weight_hh_l0.grad)
    assert torch.allclose(*found, atol=0.01)
    assert torch.allclose(*gradients, atol=0.005)
    assert gradients[0].any()
    assert here or torch.equal(*found)


def test_without_onednn_there_is_nothing_to_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
    hidden = torch.randn(2, 5, 4)
    assert layer("bilstm")(hidden).shape == (2, 5, 6)
