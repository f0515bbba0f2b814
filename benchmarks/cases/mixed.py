"""A batch in which eight LoRAs are mixed, against the base alone; and PEFT's, on the same weights.

MiniLM, 64 questions of TREC of like length a batch, eight LoRAs of rank 8 on query and value, or on all linear layers.
Base, ours and PEFT's take turns; the share of the base's throughput is the median over the repeats.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from benchmarks.lib.data import minilm, shared
from benchmarks.lib.results import Note, Results, machine
from benchmarks.lib.timing import in_turn

RESULTS = ("mixed",)
QUICK = {"repeats": 1}

TARGETS = {"query and value": ("query", "value"), "all linear": ("query", "key", "value", "dense")}
ADAPTERS, ROWS = 8, 64


def bank_of(backbone: Any, targets: tuple[str, ...], folder: Path) -> Any:
    """Eight adapters with random weights, saved as PEFT saves them and adopted: both sides then hold the same."""
    from peft import LoraConfig, get_peft_model
    from safetensors.torch import save_file
    from transformers import AutoModel

    import headstart
    from headstart.artifacts.exchange.peft_read import from_peft

    base = AutoModel.from_pretrained(minilm(), add_pooling_layer=False)
    layers = rf".*encoder\.layer\.\d+\..*\.({'|'.join(targets)})"
    config = LoraConfig(task_type="FEATURE_EXTRACTION", r=8, lora_alpha=16, target_modules=layers)
    network, bank = get_peft_model(base, config, adapter_name="a0"), headstart.Adapters(backbone)
    for number in range(1, ADAPTERS):
        network.add_adapter(f"a{number}", config)
    torch.manual_seed(0)
    with torch.no_grad():
        for name, value in network.named_parameters():
            if "lora_B" in name:
                value.normal_(std=0.02)
    network.save_pretrained(folder)
    for number in range(ADAPTERS):
        save_file({"weight": torch.randn(2, backbone.dimension)}, folder / f"a{number}" / "head.safetensors")
        (folder / f"a{number}" / "head.json").write_text("{}")
        from_peft(folder / f"a{number}", backbone, folder / f"run{number}" / "model", labels=["no", "yes"])
        bank.add(f"a{number}", folder / f"run{number}")
    return network.eval(), bank


def measure(repeats: int = 9, note: Note = "") -> Results:
    import headstart
    from headstart.engine.feed.feed import Feed

    data = headstart.read(shared() / "text" / "trec")
    parts = {}
    for title, targets in TARGETS.items():
        backbone = headstart.load(minilm())
        feed = Feed("test", data.test, backbone)
        places = np.argsort(feed.lengths, kind="stable")[200 : 200 + ROWS]
        batch, names = feed.batch(places), [f"a{i % ADAPTERS}" for i in range(ROWS)]
        with tempfile.TemporaryDirectory() as folder:
            network, bank = bank_of(backbone, targets, Path(folder))

        calls = {
            "base": partial(backbone.features, batch),
            "ours": partial(bank.logits, batch, names),
            "peft": partial(network, **batch, adapter_names=names),
        }
        runs = in_turn(title, calls, lambda side, calls=calls: timed(calls[side]), repeats + 2)[2:]  # two to warm up
        kept = {side: [run[side] for run in runs] for side in calls}
        shares = {side: statistics.median(b / v for b, v in zip(kept["base"], kept[side])) for side in ("ours", "peft")}
        parts[title] = {"seconds": kept, "share_of_the_base": shares}
        print(title, {side: round(value, 3) for side, value in shares.items()}, flush=True)
    yield "mixed", {
        "schema": "headstart.mixed/1", "status": "ok", "note": note, "rows": ROWS, "adapters": ADAPTERS,
        "targets": parts, "threads": torch.get_num_threads(), "environment": machine("fp32"),
    }  # fmt: skip


def timed(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    with torch.no_grad():
        call()
    return time.perf_counter() - start
