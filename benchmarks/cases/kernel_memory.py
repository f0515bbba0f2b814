"""How much of a training's peak memory is kernels: oneDNN keeps one for each product of each length of text.

Headstart's LoRA on TREC with MiniLM, as in the case engine, with so many kernels kept (oneDNN's own number is 1,024;
what is not kept is made anew), and what that costs whoever asks one question at a time: the latency of the test
questions, one by one, their lengths mixed.
"""

from __future__ import annotations

import time
from typing import Annotated, Any

from benchmarks.lib.data import minilm, shared
from benchmarks.lib.results import Note, Results, machine
from benchmarks.lib.timing import alone

RESULTS = ("kernel-memory",)
QUICK = {"kept": [64], "examples": 200, "epochs": 1}
LIMIT = "ONEDNN_PRIMITIVE_CACHE_CAPACITY"


def latency() -> dict[str, float]:
    """Milliseconds of one question, after each of them has been asked once."""
    import numpy as np
    import torch

    import headstart
    from headstart.engine.feed.feed import Feed
    from headstart.engine.machine.precision import compute

    backbone, computing = headstart.load(minilm()), compute("cpu")
    feed = Feed("test", headstart.read(shared() / "text" / "trec").test, backbone)
    times: list[float] = []
    for _ in range(2):
        times.clear()
        for place in range(len(feed)):
            start = time.perf_counter()
            with torch.no_grad(), computing.autocast():
                backbone.features(feed.batch(np.array([place])))
            times.append(1000 * (time.perf_counter() - start))
    return {name: float(np.percentile(times, share)) for name, share in (("p50", 50), ("p95", 95), ("p99", 99))}


def measure(
    kept: Annotated[tuple[int, ...], "kernels"] = (1024, 512, 256, 64),
    examples: Annotated[int, "of the training split, 0 for all"] = 0,
    epochs: int = 3,
    note: Note = "",
) -> Results:
    import torch

    from headstart.engine.machine.precision import compute

    runs: list[dict[str, Any]] = []
    for count in kept:
        few = {LIMIT: str(count)}
        found = alone("engine:one", "lora", "ours", examples, epochs, environment=few)
        asked = alone("kernel_memory:latency", environment=few)
        run = {"kept": count, "latency_ms": asked, **{key: found[key] for key in ("seconds", "peak_memory_bytes")}}
        runs.append(run)
        print(run, flush=True)
    here = compute(None)
    yield "kernel-memory", {
        "schema": "headstart.kernel-memory/1", "status": "ok", "runs": runs, "threads": torch.get_num_threads(),
        "note": note, "environment": machine(here.precision, str(here.device)),
    }  # fmt: skip
