"""Where the time of `benchmarks/vision.py` goes, ours beside the tuned peer's, and the arithmetic that each side does.

    python benchmarks/vision_profile.py [--images 300]

Operators of PyTorch's profiler in groups; operations by its counter, over the seconds of the operators that do them,
beside the rate of a large matrix product. Writes benchmarks/results/vision-profile.json.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import peers
import torch
import vision
from step_profile import rate

WORKS = (("features", "vit_tiny_patch16_224"), ("unfreeze", "resnet18"))
SIDES = ("ours", "tuned")
GROUPS = {
    "convolutions, products": (
        "aten::mkldnn_convolution", "aten::convolution_backward", "aten::addmm", "aten::mm", "aten::bmm",
    ),
    "fused attention": ("aten::_scaled_dot_product_flash_attention_for_cpu",),
    "norms, activations, pooling": (
        "aten::native_batch_norm", "aten::native_batch_norm_backward", "aten::native_layer_norm", "aten::gelu",
        "aten::_softmax", "aten::threshold_backward", "aten::clamp_min_", "aten::max_pool2d_with_indices",
        "aten::max_pool2d_with_indices_backward",
    ),
    "casts, copies, additions": ("aten::copy_", "aten::add", "aten::add_", "aten::cat", "aten::fill_"),
}  # fmt: skip


def main() -> None:
    from torch.profiler import ProfilerActivity, profile
    from torch.utils.flop_counter import FlopCounterMode

    from headstart.core.disk.files import write_json
    from headstart.core.environment import environment
    from headstart.engine.machine.precision import compute

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=300)
    images = parser.parse_args().images
    data, computing, parts = vision.some(images), compute("cpu"), []
    for work, model in WORKS:
        for side in SIDES:
            with FlopCounterMode(display=False) as counter:
                vision.timed(work, model, side, data)
            with profile(activities=[ProfilerActivity.CPU]) as profiler:
                seconds = vision.timed(work, model, side, data)
            own = {event.key: event.self_cpu_time_total / 1e6 for event in profiler.key_averages()}
            groups = {name: sum(own.get(key, 0.0) for key in keys) for name, keys in GROUPS.items()}
            groups["all else"] = seconds - sum(groups.values())
            part: dict[str, Any] = {
                "model": model, "work": work, "side": side, "images": images, "seconds": seconds, "groups": groups,
                "operations": counter.get_total_flops(),
            }  # fmt: skip
            parts.append(part)
            print(part, flush=True)
    write_json(peers.RESULTS / "vision-profile.json", {
        "schema": "headstart.vision-profile/1", "status": "ok", "parts": parts,
        "product_flops": rate(computing.dtype), "threads": torch.get_num_threads(),
        "environment": environment("cpu", computing.precision).to_json(),
    })  # fmt: skip


if __name__ == "__main__":
    main()
