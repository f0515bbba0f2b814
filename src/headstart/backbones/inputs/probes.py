"""Probe batches: two small batches of different shape, to try a network without the user's data."""

from __future__ import annotations

from typing import Any

import torch

from headstart.backbones.inputs.preparation import Batch, Preparation

WORDS = ("a", "probe", "of", "several", "words", "in", "two", "batches", "of", "another", "length")


def probes(modality: str, preparation: Preparation, device: torch.device) -> list[Batch]:
    """Texts of several lengths, or random images, as this preparation turns them into batches."""
    prepare: Any = preparation
    if modality == "text":
        texts = [" ".join(WORDS[:n]) for n in (2, 5, 3, 9, 1)]
        batches = [prepare.collate(prepare.encode(some)) for some in (texts[:3], texts[3:])]
    else:
        generator = torch.Generator().manual_seed(0)
        shape = (prepare.channels, *prepare.size)
        batches = [{"pixel_values": torch.randn((n, *shape), generator=generator)} for n in (3, 2)]
    return [{name: value.to(device) for name, value in batch.items()} for batch in batches]
