"""Plain attention against PyTorch's fused kernel on a CPU, over the patches of images: timm's ViTs in bf16.

    python benchmarks/attention.py [--repeats 5]

Milliseconds an image, of a training step and of inference, the median of the repeats, one kind after the other. Writes
benchmarks/results/attention.json, a part a processor, which `benchmarks/tables.py` shows in docs/performance.md.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import peers

MODELS = {"vit_tiny_patch16_224": 32, "vit_base_patch16_224": 16}
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


def main() -> None:
    import timm
    import torch

    from headstart.core.disk.files import write_json
    from headstart.core.environment import environment

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    rows = []
    for name, batch in MODELS.items():
        model, pixels = timm.create_model(name, num_classes=10), torch.randn(batch, 3, 224, 224)
        for training in (False, True):
            times: dict[str, list[float]] = {"fused": [], "plain": []}
            for repeat in range(repeats + 1):
                for kind, found in times.items():
                    found.append(once(model, pixels, kind == "fused", training))
                    if repeat == 0:
                        found.clear()  # kernels are made
            row: dict[str, Any] = {kind: statistics.median(found) for kind, found in times.items()}
            rows.append({"model": name, "batch": batch, "training": training, **row, "repeats": times})
            print(name, "training" if training else "inference", row, flush=True)
    part = {"rows": rows, "threads": torch.get_num_threads(), "environment": environment("cpu", "bf16").to_json()}
    result = peers.RESULTS / "attention.json"
    parts = json.loads(result.read_text())["parts"] if result.exists() else []
    others = [one for one in parts if one["environment"]["processor"] != part["environment"]["processor"]]
    write_json(result, {"schema": "headstart.attention/2", "status": "ok", "parts": [*others, part]})


if __name__ == "__main__":
    main()
