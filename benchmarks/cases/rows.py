"""Reading many rows: time and peak memory of read, audit, split and tokenize at 10,000, 100,000 and 1,000,000 rows.

The rows are real sentences (movie reviews, SST-2), each with a number of its own, so that none is a duplicate. Every
size runs in a process of its own.
"""

from __future__ import annotations

import csv
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.lib.data import minilm, shared
from benchmarks.lib.results import Note, Results, machine
from benchmarks.lib.timing import alone

RESULTS = ("rows",)
QUICK = {"rows": [10_000]}


def write(path: Path, rows: int) -> None:
    """A CSV of so many different rows, labelled by the real label of the sentence."""
    import headstart

    pool: list[tuple[str, str]] = []
    for name in ("movie-reviews", "sst2"):
        data = headstart.read(shared() / "text" / name)
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

    backbone = headstart.load(minilm())
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


def measure(rows: tuple[int, ...] = (10_000, 100_000, 1_000_000), note: Note = "") -> Results:
    found = []
    for count in rows:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "rows.csv"
            write(path, count)
            found.append({"rows": count, "bytes": path.stat().st_size, **alone("rows:measured", str(path))})
        print(found[-1], flush=True)
    yield (
        "rows",
        {"schema": "headstart.rows/1", "status": "ok", "note": note, "sizes": found, "environment": machine("none")},
    )
