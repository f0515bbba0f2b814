"""Where the time of the case vision goes, ours beside the tuned peer's, and the arithmetic that each side does.

Operators of PyTorch's profiler in groups; operations by its counter, over the seconds of the operators that do them,
beside the rate of a large matrix product.
"""

from __future__ import annotations

from typing import Any

import torch
from benchmarks.cases import vision
from benchmarks.cases.step_profile import rate
from benchmarks.lib.results import Note, Results, machine

RESULTS = ("vision-profile",)
QUICK = {"images": 16}

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


def measure(images: int = 300, note: Note = "") -> Results:
    from torch.profiler import ProfilerActivity, profile
    from torch.utils.flop_counter import FlopCounterMode

    from headstart.engine.machine.precision import compute

    data, computing, parts = vision.pictures(images), compute("cpu"), []
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
    yield "vision-profile", {
        "schema": "headstart.vision-profile/1", "status": "ok", "note": note, "parts": parts,
        "product_flops": rate(computing.dtype), "threads": torch.get_num_threads(),
        "environment": machine(computing.precision),
    }  # fmt: skip
