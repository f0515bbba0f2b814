"""How much of a training's peak memory is kernels: oneDNN keeps one for each product of each length of text.

    python benchmarks/kernel_memory.py [--kept 1024 512 256 64]

Headstart's LoRA on TREC with MiniLM, as in benchmarks/engine.py, with so many kernels kept (oneDNN's own number is
1,024; what is not kept is made anew), and what that costs whoever asks one question at a time: the latency of the test
questions, one by one, their lengths mixed. Writes benchmarks/results/kernel-memory.json.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import peers

LIMIT = "ONEDNN_PRIMITIVE_CACHE_CAPACITY"


def latency() -> dict[str, float]:
    """Milliseconds of one question, after each of them has been asked once."""
    import numpy as np
    import torch

    import headstart
    from headstart.engine.feed.feed import Feed
    from headstart.engine.machine.precision import compute

    backbone, computing = headstart.load(str(peers.minilm())), compute("cpu")
    feed = Feed("test", headstart.read(peers.shared() / "text" / "trec").test, backbone)
    times: list[float] = []
    for _ in range(2):
        times.clear()
        for place in range(len(feed)):
            start = time.perf_counter()
            with torch.no_grad(), computing.autocast():
                backbone.features(feed.batch(np.array([place])))
            times.append(1000 * (time.perf_counter() - start))
    return {name: float(np.percentile(times, share)) for name, share in (("p50", 50), ("p95", 95), ("p99", 99))}


def _told(command: list[str], kept: int) -> dict[str, float]:
    """What a Python script prints last, as JSON, with so many kernels kept."""
    environment = {**os.environ, LIMIT: str(kept)}
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, env=environment)
    if done.returncode:
        sys.exit(done.stderr)
    found: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def main() -> None:
    import torch

    from headstart.core.disk.files import write_json
    from headstart.core.environment import environment
    from headstart.engine.machine.precision import compute

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kept", type=int, nargs="+", default=[1024, 512, 256, 64])
    parser.add_argument("--note", default="", help="about the machine, for the record")
    parser.add_argument("--latency", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.latency:
        print(json.dumps(latency()))
        return
    runs = []
    for kept in arguments.kept:
        engine = [str(Path(__file__).parent / "engine.py"), "--one", "lora", "ours", "--epochs", "3"]
        found, asked = _told(engine, kept), _told([__file__, "--latency"], kept)
        run = {"kept": kept, "latency_ms": asked, **{key: found[key] for key in ("seconds", "peak_memory_bytes")}}
        runs.append(run)
        print(run, flush=True)
    here = compute(None)
    write_json(peers.RESULTS / "kernel-memory.json", {
        "schema": "headstart.kernel-memory/1", "status": "ok", "runs": runs, "threads": torch.get_num_threads(),
        "note": arguments.note, "environment": environment(str(here.device), here.precision).to_json(),
    })  # fmt: skip


if __name__ == "__main__":
    main()
