"""Plain attention against PyTorch's fused kernel on a CPU, over the patches of images: timm's ViTs in bf16.

Milliseconds an image, of a training step and of inference, the median of the repeats, one kind after the other. The
result has a part a processor.
"""

from __future__ import annotations

import statistics
import time
from typing import Annotated, Any

from benchmarks.lib.results import Note, Results, machine, replaced

RESULTS = ("attention",)
QUICK = {"repeats": 1, "models": ["vit_tiny_patch16_224"]}
BATCHES = {"vit_tiny_patch16_224": 32, "vit_base_patch16_224": 16}
"images at once"


def once(model: Any, pixels: Any, fused: bool, training: bool) -> float:
    import torch

    for part in model.modules():
        if hasattr(part, "fused_attn"):
            part.fused_attn = fused
    model.train(training)
    start = time.perf_counter()
    with torch.set_grad_enabled(training), torch.autocast("cpu", torch.bfloat16):
        scores = model(pixels)
    if training:
        scores.float().logsumexp(1).sum().backward()
        model.zero_grad()
    return 1000 * (time.perf_counter() - start) / len(pixels)


def measure(
    repeats: int = 5, models: Annotated[tuple[str, ...], f"of {', '.join(BATCHES)}"] = tuple(BATCHES), note: Note = ""
) -> Results:
    import timm
    import torch

    rows = []
    for name in models:
        model, pixels = timm.create_model(name, num_classes=10), torch.randn(BATCHES[name], 3, 224, 224)
        for training in (False, True):
            times: dict[str, list[float]] = {"fused": [], "plain": []}
            for repeat in range(repeats + 1):
                for kind, found in times.items():
                    found.append(once(model, pixels, kind == "fused", training))
                    if repeat == 0:
                        found.clear()  # kernels are made
            row: dict[str, Any] = {kind: statistics.median(found) for kind, found in times.items()}
            rows.append({"model": name, "batch": BATCHES[name], "training": training, **row, "repeats": times})
            print(name, "training" if training else "inference", row, flush=True)
    part = {"rows": rows, "threads": torch.get_num_threads(), "note": note, "environment": machine("bf16")}
    yield "attention", replaced("attention", "headstart.attention/2", part, lambda p: p["environment"]["processor"])
