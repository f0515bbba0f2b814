"""Where a CPU has no LSTM in bf16."""

from __future__ import annotations

import contextlib
from contextlib import AbstractContextManager

import torch


def lstm_autocast() -> AbstractContextManager[object]:
    """Around an LSTM without projections: off on a CPU for which oneDNN has none in bf16, where autocast would fail."""
    if not torch.backends.mkldnn.is_available() or torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return contextlib.nullcontext()
    return torch.autocast("cpu", enabled=False)
