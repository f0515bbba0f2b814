"""How many pictures of 224 pixels should go through a network at once: time a picture by batch size, forward alone.

    python benchmarks/batches.py [--model resnet18,vit_tiny_patch16_224]

Writes benchmarks/results/batches.json.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import peers

SIZES = (4, 8, 16, 32, 64, 128)


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


def main() -> None:
    import timm
    import torch

    from headstart.core.disk.files import write_json
    from headstart.core.environment import environment

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=lambda text: text.split(","), default=["resnet18", "vit_tiny_patch16_224"])
    parser.add_argument("--note", default="", help="about the machine, for the record")
    arguments = parser.parse_args()
    models: dict[str, dict[str, float]] = {}
    for name in arguments.model:
        torch.manual_seed(0)
        network = timm.create_model(name).eval().to(memory_format=torch.channels_last)
        models[name] = {str(size): seconds(network, size) for size in SIZES}
        print(name, {size: f"{1e3 * found:.1f} ms" for size, found in models[name].items()}, flush=True)
    result = {
        "schema": "headstart.batches/1", "status": "ok", "models": models, "threads": torch.get_num_threads(),
        "note": arguments.note, "environment": environment("cpu", "fp32").to_json(),
    }  # fmt: skip
    write_json(peers.RESULTS / "batches.json", result)


if __name__ == "__main__":
    main()
