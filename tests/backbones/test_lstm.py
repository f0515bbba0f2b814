"""LSTMs under autocast: on any CPU they work, and where it has none in bf16 they compute in float32."""

from __future__ import annotations

import pytest
import torch

from headstart.backbones.awd_lstm import Layer
from headstart.backbones.vector_backbone import BiLSTM


@pytest.mark.parametrize("here", [True, False], ids=["as it is", "without bf16"])
@pytest.mark.parametrize("layer", [Layer(4, 3, weights=0.5, after=0.0), BiLSTM(4, 3)], ids=["awd", "bilstm"])
def test_bf16_on_any_processor(layer: torch.nn.LSTM, here: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not here:
        monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: False)
    hidden = torch.randn(2, 5, 4, generator=torch.Generator().manual_seed(0))
    plain = layer.eval()(hidden)
    with torch.autocast("cpu", torch.bfloat16):
        found = layer(hidden)
    assert torch.allclose(found.float(), plain, atol=0.02)
    assert here or torch.equal(found, plain)
