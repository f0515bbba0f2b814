"""How many pictures of 224 pixels should go through a network at once: time a picture by batch size, forward alone.

Seconds of the processor, the best of some runs.
"""

from __future__ import annotations

import time
from typing import Annotated, Any

from benchmarks.lib.results import Note, Results, machine

RESULTS = ("batches",)
QUICK = {"model": ["resnet18"], "sizes": [4, 8]}


def seconds(network: Any, size: int) -> float:
    """Of the processor for one picture, the best of some runs."""
    import torch

    pixels = torch.randn(size, 3, 224, 224).to(memory_format=torch.channels_last)
    found = []
    with torch.no_grad():
        network.forward_features(pixels)
        for _ in range(max(2, 64 // size)):
            start = time.process_time()
            network.forward_features(pixels)
            found.append((time.process_time() - start) / size)
    return min(found)


def measure(
    model: Annotated[tuple[str, ...], "timm's names"] = ("resnet18", "vit_tiny_patch16_224"),
    sizes: tuple[int, ...] = (4, 8, 16, 32, 64, 128),
    note: Note = "",
) -> Results:
    import timm
    import torch

    models: dict[str, dict[str, float]] = {}
    for name in model:
        torch.manual_seed(0)
        network = timm.create_model(name).eval().to(memory_format=torch.channels_last)
        models[name] = {str(size): seconds(network, size) for size in sizes}
        print(name, {size: f"{1e3 * found:.1f} ms" for size, found in models[name].items()}, flush=True)
    yield "batches", {
        "schema": "headstart.batches/1", "status": "ok", "models": models, "threads": torch.get_num_threads(),
        "note": note, "environment": machine("fp32"),
    }  # fmt: skip
