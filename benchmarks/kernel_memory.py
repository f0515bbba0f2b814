"""How much of a training's peak memory is kernels: oneDNN keeps one for each product of each length of text.

    python benchmarks/kernel_memory.py [--kept 1024 512 256 64]

Headstart's LoRA on TREC with MiniLM, as in benchmarks/engine.py, with so many kernels kept (oneDNN's own number is
1,024; what is not kept is made anew). Writes benchmarks/results/kernel-memory.json.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import peers

LIMIT = "ONEDNN_PRIMITIVE_CACHE_CAPACITY"


def main() -> None:
    import torch

    from headstart.core.environment import environment
    from headstart.core.files import write_json
    from headstart.engine.precision import compute

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kept", type=int, nargs="+", default=[1024, 512, 256, 64])
    parser.add_argument("--note", default="", help="about the machine, for the record")
    arguments = parser.parse_args()
    runs = []
    for kept in arguments.kept:
        command = [sys.executable, str(Path(__file__).parent / "engine.py"), "--one", "lora", "ours", "--epochs", "3"]
        done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, LIMIT: str(kept)})
        if done.returncode:
            sys.exit(done.stderr)
        found = json.loads(done.stdout.strip().splitlines()[-1])
        runs.append({"kept": kept, "seconds": found["seconds"], "peak_memory_bytes": found["peak_memory_bytes"]})
        print(f"{kept:,} kept: {found['seconds']:.1f} s, {found['peak_memory_bytes'] / 1e9:.2f} GB", flush=True)
    here = compute(None)
    write_json(peers.RESULTS / "kernel-memory.json", {
        "schema": "headstart.kernel-memory/1", "status": "ok", "runs": runs, "threads": torch.get_num_threads(),
        "note": arguments.note, "environment": environment(str(here.device), here.precision).to_json(),
    })  # fmt: skip


if __name__ == "__main__":
    main()
