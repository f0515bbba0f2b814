"""Reading many rows: time and peak memory of read, audit, split and tokenize at 10,000, 100,000 and 1,000,000 rows.

    python benchmarks/rows.py [--rows 10000,100000,1000000]

The rows are real sentences (movie reviews, SST-2), each with a number of its own, so that none is a duplicate.
Every size runs in a process of its own. Writes benchmarks/results/rows.json.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
sys.path.insert(0, str(Path(__file__).parent))

import peers


def write(path: Path, rows: int) -> None:
    """A CSV of so many different rows, labelled by the real label of the sentence."""
    import headstart

    pool: list[tuple[str, str]] = []
    for name in ("movie-reviews", "sst2"):
        data = headstart.read(peers.shared() / "text" / name)
        for split in (data.train, data.test):
            pool += [(text, data.task.labels[int(t)]) for text, t in zip(split.inputs(), split.targets)]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        for row in range(rows):
            text, label = pool[row % len(pool)]
            words = text.split()
            place = row // len(pool) % (len(words) + 1)
            writer.writerow([" ".join([*words[:place], f"{row:x}", *words[place:]]), label])


def measured(path: str) -> dict[str, Any]:
    import torch

    import headstart
    from headstart.engine.feed.feed import Feed
    from headstart.engine.machine.meter import meter

    backbone = headstart.load(peers.minilm())
    with meter(torch.device("cpu")) as reading:
        start = time.perf_counter()
        data = headstart.read(path)
        read = time.perf_counter() - start
        feeds = [Feed(name, getattr(data, name), backbone) for name in ("train", "validation", "test")]
        tokenized = time.perf_counter() - start - read
    return {
        "read_seconds": read, "tokenize_seconds": tokenized, "peak_memory_bytes": reading.peak_memory_bytes,
        "tokens": int(sum(feed.lengths.sum() for feed in feeds)), "used": sum(len(feed) for feed in feeds),
    }  # fmt: skip


def main() -> None:
    from headstart.core.disk.files import write_json
    from headstart.core.environment import environment

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", default="10000,100000,1000000")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--note", default="", help="about the machine, for the record")
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measured(arguments.one)))
        return
    found = []
    for rows in map(int, arguments.rows.split(",")):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "rows.csv"
            write(path, rows)
            size = path.stat().st_size
            done = subprocess.run([sys.executable, __file__, "--one", str(path)], capture_output=True, text=True)
        if done.returncode:
            sys.exit(done.stderr)
        found.append({"rows": rows, "bytes": size, **json.loads(done.stdout.strip().splitlines()[-1])})
        print(found[-1], flush=True)
    record = {
        "schema": "headstart.rows/1", "status": "ok", "note": arguments.note, "sizes": found,
        "environment": environment("cpu", "none").to_json(),
    }  # fmt: skip
    write_json(peers.RESULTS / "rows.json", record)


if __name__ == "__main__":
    main()
