"""A batch in which eight LoRAs are mixed, against the base alone; and PEFT's, on the same weights.

    python benchmarks/mixed.py [--repeats 9]

MiniLM, 64 questions of TREC of like length a batch, eight LoRAs of rank 8 on query and value, or on all linear layers.
Base, ours and PEFT's take turns; the share of the base's throughput is the median over the repeats. Writes
benchmarks/results/mixed.json.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
import peers
import torch

TARGETS = {"query and value": ("query", "value"), "all linear": ("query", "key", "value", "dense")}
ADAPTERS, ROWS = 8, 64


def bank_of(backbone: Any, targets: tuple[str, ...], folder: Path) -> Any:
    """Eight adapters with random weights, saved as PEFT saves them and adopted: both sides then hold the same."""
    from peft import LoraConfig, get_peft_model
    from safetensors.torch import save_file
    from transformers import AutoModel

    import headstart
    from headstart.artifacts.exchange.peft_read import from_peft

    base = AutoModel.from_pretrained(peers.minilm(), add_pooling_layer=False)
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


def main() -> None:
    import headstart
    from headstart.core.disk.files import write_json
    from headstart.core.environment import environment
    from headstart.engine.feed.feed import Feed

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--note", default="", help="about the machine, for the record")
    arguments = parser.parse_args()

    data = headstart.read(peers.shared() / "text" / "trec")
    parts = {}
    for title, targets in TARGETS.items():
        backbone = headstart.load(peers.minilm())
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
        runs: dict[str, list[float]] = {key: [] for key in calls}
        for _ in range(arguments.repeats + 2):  # two to warm up
            for key, call in calls.items():
                start = time.perf_counter()
                with torch.no_grad():
                    call()
                runs[key].append(time.perf_counter() - start)
        kept = {key: values[2:] for key, values in runs.items()}
        shares = {
            key: statistics.median(b / v for b, v in zip(kept["base"], kept[key])) for key in ("ours", "peft")
        }  # fmt: skip
        parts[title] = {"seconds": kept, "share_of_the_base": shares}
        print(title, {key: round(value, 3) for key, value in shares.items()}, flush=True)
    record = {
        "schema": "headstart.mixed/1", "status": "ok", "note": arguments.note, "rows": ROWS, "adapters": ADAPTERS,
        "targets": parts, "threads": torch.get_num_threads(), "environment": environment("cpu", "fp32").to_json(),
    }  # fmt: skip
    write_json(peers.RESULTS / "mixed.json", record)


if __name__ == "__main__":
    main()
