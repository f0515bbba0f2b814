"""Disable autocast around LSTMs where oneDNN lacks a bf16 kernel."""

from __future__ import annotations

import contextlib
from contextlib import AbstractContextManager

import torch


def lstm_autocast() -> AbstractContextManager[object]:
    """Context for an LSTM without projections: disables autocast where a CPU has no bf16 kernel, which would fail."""
    if not torch.backends.mkldnn.is_available() or torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return contextlib.nullcontext()
    return torch.autocast("cpu", enabled=False)
