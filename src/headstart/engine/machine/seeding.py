"""The random generator of the device that computes, set for each step."""

from __future__ import annotations

import torch


def set_seed(device: torch.device, number: int) -> None:
    """As `torch.manual_seed`, which formats the whole stack at each call, for each kind of GPU that is not in use."""
    if device.type == "cpu":
        torch.default_generator.manual_seed(number)
    else:
        torch.manual_seed(number)
