"""Peak memory of full fine-tuning as a multiple of the weights, checkpoints included.

MiniLM and a BERT of the base size on a few TREC questions, four a step, so that data and activations are small: what is
left is weights, gradients, Adam's two moments, and whatever copies the training keeps. The peak is the process's
largest resident memory less that of a process that only imports the same modules. A checkpoint is written after each
step.
"""

from __future__ import annotations

import contextlib
import csv
import importlib
import itertools
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

from benchmarks.lib.data import minilm, shared
from benchmarks.lib.results import Note, Results, machine
from benchmarks.lib.timing import alone

RESULTS = ("full-memory",)
QUICK = {"repeats": 1, "examples": 8}


def resident(what: str) -> int:
    """Bytes of this process: `VmRSS` now, or `VmHWM` at most so far."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{what}:"))


def imports(modules: list[str]) -> int:
    """Peak of a process that imports these modules and does nothing."""
    for module in modules:
        with contextlib.suppress(Exception):  # some were made while others ran
            importlib.import_module(module)
    return resident("VmHWM")


def few(folder: Path, examples: int) -> None:
    """The first questions of TREC, as a folder of train.csv, validation.csv and test.csv."""
    with (shared() / "text" / "trec" / "train.csv").open(encoding="utf-8", newline="") as file:
        header, *rows = itertools.islice(csv.reader(file), 1 + 3 * examples)
    for number, name in enumerate(("train", "validation", "test")):
        with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([header, *rows[number * examples : (number + 1) * examples]])


def bert_base(folder: str) -> None:
    """A BERT of the base size with random weights and MiniLM's tokenizer: for memory its values don't matter."""
    from transformers import AutoTokenizer, BertConfig, BertModel

    tokenizer = AutoTokenizer.from_pretrained(minilm())
    BertModel(BertConfig(vocab_size=len(tokenizer)), add_pooling_layer=False).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def training(folder: str, model: str) -> dict[str, Any]:
    """Seconds and peak of a training of two epochs, and bytes of the weights."""
    import headstart
    from headstart.engine.adapt import Setting, adapted
    from headstart.engine.cache.cache import Cache
    from headstart.engine.feed.feed import Feed
    from headstart.engine.job import Options
    from headstart.engine.machine.precision import compute
    from headstart.engine.state.checkpoint import Checkpoint
    from headstart.methods.method import METHODS

    backbone, computing = headstart.load(model), compute("cpu")
    data = headstart.read(folder)
    train, validation = Feed("train", data.train, backbone), Feed("validation", data.validation, backbone)
    weights = sum(p.nbytes for p in backbone.module.parameters())
    looks = iter(range(100))  # each is better than the one before, so that the best weights are written each time
    setting = Setting(
        backbone, data.task, train, validation, Options(epochs=2, batch_size=4), computing,
        lambda *_: (float(next(looks)),) * 2, Cache(backbone, computing),
    )  # fmt: skip
    checkpoint = Checkpoint(Path(folder) / "checkpoint.safetensors", every=0.0)
    start = time.perf_counter()
    with adapted(setting, METHODS["full"](learning_rate=5e-5), 0, checkpoint=checkpoint) as done:
        steps = done.trace.steps
    seconds = time.perf_counter() - start
    return {
        "seconds": seconds, "steps": steps, "weights_bytes": weights, "peak_bytes": resident("VmHWM"),
        "precision": computing.precision, "modules": sorted(sys.modules),
    }  # fmt: skip


def once(model: str, examples: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        few(Path(folder), examples)
        found: dict[str, Any] = alone("full_memory:training", folder, model)
    found["imports_bytes"] = alone("full_memory:imports", found.pop("modules"))
    found["times_weights"] = (found["peak_bytes"] - found["imports_bytes"]) / found["weights_bytes"]
    print(found, flush=True)
    return found


def measure(
    examples: Annotated[int, "for training, and as many for validation"] = 16,
    repeats: int = 3,
    note: Note = "",
) -> Results:
    import torch

    with tempfile.TemporaryDirectory() as base:
        alone("full_memory:bert_base", base)
        models = {"MiniLM": minilm(), "BERT-base, random": base}
        runs = {name: [once(model, examples) for _ in range(repeats)] for name, model in models.items()}
    times = {name: statistics.median(run["times_weights"] for run in each) for name, each in runs.items()}
    yield "full-memory", {
        "schema": "headstart.full-memory/1", "status": "ok", "runs": runs, "times_weights": times, "note": note,
        "threads": torch.get_num_threads(), "environment": machine(runs["MiniLM"][0]["precision"]),
    }  # fmt: skip
