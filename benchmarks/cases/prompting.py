"""Prompting against tuning: SmolLM2 on TREC and SST-2, with no, 4, 12 and 24 demonstrations, a probe, LoRA and full.

Each set has so many training, validation and test rows, drawn once. All methods have as many trials; seeds draw the
demonstrations. A row has accuracy, its interval, seconds of tuning and of one answer, and tokens read per text.
"""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from benchmarks.lib.data import shared
from benchmarks.lib.results import Note, Results, machine, replaced

RESULTS = ("prompting",)
QUICK = {
    "sets": ["trec"], "train": 40, "validation": 20, "test": 20, "demonstrations": [4], "methods": ["probe"],
    "seeds": 1, "trials": 1, "epochs": 1,
}  # fmt: skip
SIZES = ("train", "validation", "test")


def smollm2() -> str:
    """The folder of SmolLM2-135M-Instruct: HEADSTART_SMOLLM2, or that in the cache of models."""
    place = Path(os.environ.get("HEADSTART_SMOLLM2") or Path.home() / ".cache" / "headstart-models" / "smollm2")
    if not place.is_dir():
        raise SystemExit(f"no SmolLM2 at {place}: name its folder in HEADSTART_SMOLLM2")
    return str(place)


def drawn(name: str, sizes: dict[str, int], folder: Path) -> Path:
    """So many rows of each split, drawn with a seed of 0; validation out of train where the set has none."""
    source, folder = shared() / "text" / name, folder / "-".join(map(str, (name, *sizes.values())))
    rows = {
        split: list(csv.DictReader(file.open(encoding="utf-8", newline="")))
        for split in SIZES
        if (file := source / f"{split}.csv").exists()
    }
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    mixed = {split: [of[i] for i in rng.permutation(len(of))] for split, of in rows.items()}
    if "validation" not in mixed:
        mixed["validation"] = mixed["train"][sizes["train"] :]
    for split, size in sizes.items():
        with (folder / f"{split}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, ["text", "label"])
            writer.writeheader()
            writer.writerows({"text": row["text"], "label": row["label"]} for row in mixed[split][:size])
    return folder


def measured(row: Any) -> dict[str, Any]:
    if row.status != "ok":
        return {"method": row.method, "status": row.status}
    return {
        "method": row.method, "status": "ok", "accuracy": row.value, "low": row.low, "high": row.high,
        "difference": row.difference, "p": row.p_adjusted, "tuning_seconds": row.tuning_seconds,
        "train_seconds": row.train_seconds, "latency_seconds": row.latency_seconds, "tokens_in": row.tokens_in,
        "tokens_out": row.tokens_out, "trained_parameters": row.trained_parameters,
        "artifact_bytes": row.artifact_bytes,
        "configuration": {
            name: row.configuration[name]
            for name in ("demonstrations", "choice", "form", "instruction", "calibrated", "learning_rate")
            if name in row.configuration
        },
        "seeds": [seed.value for seed in row.seeds],
    }  # fmt: skip


def measure(
    sets: Annotated[tuple[str, ...], "folders of text/"] = ("trec", "sst2"),
    train: int = 200,
    validation: int = 100,
    test: int = 250,
    demonstrations: tuple[int, ...] = (4, 12, 24),
    methods: Annotated[tuple[str, ...], "tuned beside the prompts"] = ("probe", "lora", "full"),
    seeds: int = 2,
    trials: int = 2,
    epochs: int = 3,
    as_it_is: Annotated[bool, "only report the finished rows of an interrupted run"] = False,
    out: Annotated[Path, "taken up where it stopped"] = Path("runs/prompting"),
    note: Note = "",
) -> Results:
    import torch

    import headstart
    from headstart.cli.progress import Lines
    from headstart.core.records.comparison import Comparison
    from headstart.engine.machine.precision import compute

    shown = {f"fewshot@{count}": count for count in demonstrations}
    settings = {f"{name}.demonstrations": count for name, count in shown.items()}
    settings |= {f"{name}.choice": "balanced" for name in shown}
    sizes = dict(zip(SIZES, (train, validation, test)))
    for name in sets:
        record = Comparison.read(out / name / "comparison.json") if as_it_is else headstart.compare(
            drawn(name, sizes, out / "data"), smollm2(), out=out / name, resume=True,
            methods=["zeroshot", *shown, *methods], settings=settings, seeds=seeds, trials=trials, epochs=epochs,
            progress=Lines(), remember=False,
        )  # fmt: skip
        part = {
            "data": name, "status": record.status, "sizes": sizes, "seeds": seeds, "trials": trials, "epochs": epochs,
            "note": note, "seconds": record.seconds, "verdict": list(record.verdict.said),
            "rows": list(map(measured, record.rows)),
            "threads": torch.get_num_threads(), "environment": machine(compute("cpu").precision),
        }  # fmt: skip
        for row in part["rows"]:
            said = row["status"] if row["status"] != "ok" else (
                f"{100 * row['accuracy']:.1f} [{100 * row['low']:.1f}, {100 * row['high']:.1f}] "
                f"{row['tuning_seconds']:.0f} s {1000 * row['latency_seconds']:.0f} ms {row['tokens_in']:.0f} tokens"
            )  # fmt: skip
            print(f"{name:6} {row['method']:12} {said}", flush=True)
        yield "prompting", replaced("prompting", "headstart.prompting/1", part, lambda one: one["data"])
