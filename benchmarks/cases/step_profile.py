"""Where the time of a training step goes, beside what its arithmetic would take: MiniLM on TREC, batch 32.

Operators of PyTorch's profiler in groups, milliseconds a step, and the seconds of a step without the profiler: of three
epochs less those of one, so that what is done once (tokenizing, the cache's pass) is in neither. The limit is the
arithmetic of the step over the rate of a large matrix product in the same precision, measured here.
"""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections import Counter
from typing import Annotated, Any

import torch
from benchmarks.cases import engine
from benchmarks.lib.results import Note, Results, machine

RESULTS = ("step-profile",)
QUICK = {"work": ["lora"], "examples": 64, "repeats": 1}
GROUPS = {
    "matrix products": ("aten::mm", "aten::addmm", "aten::bmm", "aten::baddbmm"),
    "casts and copies": ("aten::copy_",),
    "optimizer": ("aten::_fused_adamw_", "Optimizer.step#RowAdamW.step", "aten::lerp_", "aten::addcdiv_"),
    "gradients' norm and zeroing": (
        "aten::linalg_vector_norm", "aten::fill_", "aten::zero_", "Optimizer.zero_grad#RowAdamW.zero_grad",
    ),
    "softmax, GELU, layer norms": (
        "aten::_softmax", "aten::_softmax_backward_data", "aten::gelu", "aten::gelu_backward",
        "aten::native_layer_norm", "aten::native_layer_norm_backward",
    ),
    "dropout": ("aten::random_", "aten::ge"),
}  # fmt: skip


def rate(dtype: torch.dtype, size: int = 2048) -> float:
    """FLOP/s of a large product."""
    a, b = (torch.randn(size, size).to(dtype) for _ in range(2))
    a @ b
    start = time.perf_counter()
    for _ in range(10):
        a @ b
    return 10 * 2 * size**3 / (time.perf_counter() - start)


def arithmetic(work: str, tokens: float) -> float:
    """FLOP of a step: two a weight and token forward, as much for each gradient that is needed."""
    blocks = 6 * (4 * 384 * 384 + 2 * 384 * 1536)
    passes = {"full": 3.0, "lora": 2.0, "freeze": 3.0 / 3}[work]  # of a frozen, cached prefix nothing is run
    return 2 * blocks * tokens * passes


def measure(
    work: tuple[str, ...] = ("full", "lora", "freeze"),
    examples: int = 1600,
    repeats: Annotated[int, "trainings behind each median"] = 3,
    note: Note = "",
) -> Results:
    from torch.profiler import ProfilerActivity, profile

    from headstart.engine.machine.precision import compute

    data, computing = engine.questions(examples), compute("cpu")
    data = dataclasses.replace(data, test=data.test.take([0, 1]))  # what is profiled is training
    peak, parts = rate(computing.dtype), []
    steps = -(-examples // 32)
    for name in work:
        engine.ours(name, data, 1)  # warm
        few, more = (statistics.median(engine.ours(name, data, n)["seconds"] for _ in range(repeats)) for n in (1, 3))
        own: Counter[str] = Counter()
        for epochs, sign in ((1, -1), (3, 1)):
            with profile(activities=[ProfilerActivity.CPU]) as profiler:
                found = engine.ours(name, data, epochs)
            for event in profiler.key_averages():
                own[event.key] += sign * event.self_cpu_time_total / 1e3 / (2 * steps)
        groups = {group: sum(own.get(key, 0.0) for key in keys) for group, keys in GROUPS.items()}
        groups["all else"] = sum(own.values()) - sum(groups.values())
        tokens = found["tokens"] / (3 * steps)
        part: dict[str, Any] = {
            "work": name, "steps": steps, "tokens_a_step": tokens, "milliseconds": groups,
            "step_milliseconds": 1e3 * (more - few) / (2 * steps),
            "limit_milliseconds": 1e3 * arithmetic(name, tokens) / peak,
        }  # fmt: skip
        parts.append(part)
        print(name, {k: round(v, 1) for k, v in groups.items()}, part["step_milliseconds"], part["limit_milliseconds"])
    yield "step-profile", {
        "schema": "headstart.step-profile/1", "status": "ok", "note": note, "parts": parts, "product_flops": peak,
        "threads": torch.get_num_threads(), "environment": machine(computing.precision),
    }  # fmt: skip
