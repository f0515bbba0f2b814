"""The engine against its peers, work by work: seconds from raw texts to a trained model, and peak memory.

    python benchmarks/engine.py [--work probe,full,lora,freeze] [--sides ours,eager] [--repeats 3] [--examples 0]

Every training runs in a process of its own, sides take turns, and what is told is the median of the ratios of the
pairs. The peer is there twice: transformers' Trainer (with PEFT for LoRA) at its defaults, and as a knowing user would
tune it: batches of like length, and bf16 where the processor has it; the side `eager` has plain attention besides,
which few know to be faster in training on a CPU. MiniLM on TREC; `--examples` and `--epochs` make it smaller for slow
machines, on all sides. The answers to the test questions are compared too, paired. Writes
benchmarks/results/engine.json, a part a work and its sides.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
import peers

RESULT = peers.RESULTS / "engine.json"
WORKS = {"probe": 1, "full": 3, "lora": 3, "freeze": 10}
"and its epochs"
SIDES = {"probe": ("ours", "floor"), **dict.fromkeys(("full", "lora", "freeze"), ("ours", "defaults", "tuned"))}
"where none are named"
RATES = {"full": 5e-5, "lora": 1e-3, "freeze": 5e-5}
FROZEN = 5  # embeddings and the lower four of six blocks


def some(examples: int) -> Any:
    import dataclasses

    import headstart

    data = headstart.read(peers.shared() / "text" / "trec")
    if not examples:
        return data
    places = np.sort(np.random.default_rng(0).permutation(len(data.train))[:examples])
    return dataclasses.replace(data, train=data.train.take(places))


def ours(work: str, data: Any, epochs: int) -> dict[str, Any]:
    import torch

    import headstart
    from headstart.core.fields import configured
    from headstart.engine.adapt import Setting, adapted
    from headstart.engine.cache.cache import Cache
    from headstart.engine.feed.feed import Feed
    from headstart.engine.job import Options
    from headstart.engine.machine.precision import compute
    from headstart.methods.method import METHODS

    settings = {"probe": {"reads": "top"}, "freeze": {"rungs": FROZEN}}.get(work, {})
    if work in RATES:
        settings["learning_rate"] = RATES[work]
    backbone, computing = headstart.load(peers.minilm()), compute(None)
    test = Feed("test", data.test, backbone)
    start = time.perf_counter()
    train, cache = Feed("train", data.train, backbone), Cache(backbone, computing)
    prepared = time.perf_counter() - start
    options = Options(epochs=epochs, batch_size=32)
    setting = Setting(backbone, data.task, train, test.none(), options, computing, lambda *_: (0.0, 0.0), cache)
    backbone.module.to(computing.device)
    with adapted(setting, configured(METHODS[work], settings, work), 0) as done:
        if computing.device.type == "cuda":
            torch.cuda.synchronize()
        seconds = time.perf_counter() - start
        scores = done.job.predict(test)
    parts = {"prepare": prepared, "pass": sum(kept.seconds for kept in cache._stores.values() if kept)}
    cache.close()
    tokens = int(train.lengths.sum()) * epochs
    told = answered(data, scores)
    return {"seconds": seconds, "parts": parts, **told, "precision": computing.precision, "tokens": tokens}


def answered(data: Any, scores: np.ndarray) -> dict[str, Any]:
    answers = scores.argmax(1)
    return {"accuracy": float((answers == data.test.targets).mean()), "answers": " ".join(map(str, answers))}


def floor(data: Any) -> dict[str, Any]:
    """One forward pass in bf16 over texts that are tokenized already, sorted by length, with the faster attention."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    from headstart.engine.machine.precision import compute

    computing = compute(None)
    tokenizer = AutoTokenizer.from_pretrained(peers.minilm())
    eager = {"attn_implementation": "eager"} if computing.device.type == "cpu" else {}
    network = AutoModel.from_pretrained(peers.minilm(), add_pooling_layer=False, **eager)
    network.eval().to(computing.device, computing.dtype)
    texts = data.train.inputs()
    order = np.argsort([len(ids) for ids in tokenizer(texts)["input_ids"]], kind="stable")
    parts = [[texts[i] for i in order[at : at + 256]] for at in range(0, len(texts), 256)]
    batches = [tokenizer(part, padding=True, return_tensors="pt") for part in parts]
    start = time.perf_counter()
    with torch.no_grad():
        for batch in batches:
            network(**batch.to(computing.device)).last_hidden_state.mean(1).cpu()
    return {"seconds": time.perf_counter() - start, "precision": computing.precision}


def trainer(work: str, data: Any, epochs: int, side: str) -> dict[str, Any]:
    from transformers import (
        AutoModelForSequenceClassification,
        AutoTokenizer,
        DataCollatorWithPadding,
        Trainer,
        TrainingArguments,
        set_seed,
    )

    from headstart.engine.machine.precision import compute

    set_seed(0)
    tuned = side != "defaults"
    bf16 = tuned and compute(None).bf16
    tokenizer = AutoTokenizer.from_pretrained(peers.minilm())
    attention = {"attn_implementation": "eager"} if side == "eager" else {}
    network = AutoModelForSequenceClassification.from_pretrained(
        peers.minilm(), num_labels=len(data.task.labels), **attention
    )
    if work == "lora":
        from peft import LoraConfig, get_peft_model

        layers = r".*encoder\.layer\.\d+\..*\.(query|key|value|dense)"
        network = get_peft_model(network, LoraConfig(task_type="SEQ_CLS", r=8, lora_alpha=16, target_modules=layers))
    if work == "freeze":
        network.bert.embeddings.requires_grad_(False)
        for block in network.bert.encoder.layer[: FROZEN - 1]:
            block.requires_grad_(False)

    def rows(examples: Any) -> list[dict[str, Any]]:
        tokens = tokenizer(examples.inputs(), truncation=True, max_length=256)
        return [
            {"input_ids": ids, "attention_mask": mask, "labels": int(label)}
            for ids, mask, label in zip(tokens["input_ids"], tokens["attention_mask"], examples.targets)
        ]

    more = {"train_sampling_strategy": "group_by_length", "bf16": bf16} if tuned else {}
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            folder, num_train_epochs=epochs, per_device_train_batch_size=32, per_device_eval_batch_size=64,
            learning_rate=RATES[work], save_strategy="no", report_to=[], disable_tqdm=True, logging_strategy="no",
            use_cpu=compute(None).device.type == "cpu", **more,
        )  # fmt: skip
        start = time.perf_counter()
        run = Trainer(
            network, arguments, train_dataset=rows(data.train), data_collator=DataCollatorWithPadding(tokenizer)
        )
        run.train()
        seconds = time.perf_counter() - start
        scores = peers.probabilities(run, rows(data.test))
    return {"seconds": seconds, **answered(data, scores), "precision": "bf16" if bf16 else "fp32"}


def one(work: str, side: str, examples: int, epochs: int) -> dict[str, Any]:
    from headstart.engine.machine.meter import meter
    from headstart.engine.machine.precision import compute

    data = some(examples)
    with meter(compute(None).device) as reading:
        if side == "ours":
            found = ours(work, data, epochs)
        elif side == "floor":
            found = floor(data)
        else:
            found = trainer(work, data, epochs, side)
    return {**found, "peak_memory_bytes": reading.peak_memory_bytes}


def ratios(runs: list[dict[str, Any]], side: str) -> list[float]:
    return [run[side]["seconds"] / run["ours"]["seconds"] for run in runs]


def quality(data: Any, runs: list[dict[str, Any]], side: str) -> dict[str, float]:
    """Accuracy of ours less the side's, paired by test example."""
    from headstart.stats.metrics import metric
    from headstart.stats.paired import compare
    from headstart.stats.predictions import Predictions

    ours, theirs = (
        [
            Predictions(
                data.test.ids,
                data.test.targets,
                np.eye(len(data.task.labels))[list(map(int, run[name]["answers"].split()))],
            )
            for run in runs
        ]
        for name in ("ours", side)
    )
    found = compare(ours, theirs, metric("single_label"))
    return {"difference": found.difference, "low": found.low, "high": found.high, "p_value": found.p_value}


def main() -> None:
    import torch

    from headstart.core.disk.files import write_json
    from headstart.core.environment import environment
    from headstart.engine.machine.precision import compute

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=lambda text: text.split(","), default=list(WORKS))
    parser.add_argument("--sides", type=lambda text: tuple(text.split(",")), help="ours and these [default: SIDES]")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--examples", type=int, default=0, help="of the training split, 0 for all")
    parser.add_argument("--epochs", type=int, default=0, help="0 for those of the work")
    parser.add_argument("--note", default="", help="about the machine, for the record")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        work, side = arguments.one
        print(json.dumps(one(work, side, arguments.examples, arguments.epochs)))
        return
    for work in arguments.work:
        epochs, runs, sides = arguments.epochs or WORKS[work], [], arguments.sides or SIDES[work]
        for _ in range(arguments.repeats):
            run: dict[str, Any] = {}
            for side in sides:
                command = [sys.executable, __file__, "--one", work, side, "--examples", str(arguments.examples)]
                done = subprocess.run([*command, "--epochs", str(epochs)], capture_output=True, text=True)
                if done.returncode:
                    sys.exit(done.stderr)
                run[side] = json.loads(done.stdout.strip().splitlines()[-1])
            runs.append(run)
            print(work, {side: f"{found['seconds']:.1f} s" for side, found in run.items()}, flush=True)
        data = some(arguments.examples)
        part = {
            "work": work, "epochs": epochs, "examples": arguments.examples or "all", "runs": runs,
            "times_faster": {side: statistics.median(ratios(runs, side)) for side in sides[1:]},
            "quality": {side: quality(data, runs, side) for side in sides[1:] if "answers" in runs[0][side]},
            "threads": torch.get_num_threads(), "note": arguments.note,
            "environment": environment(str(compute(None).device), compute(None).precision).to_json(),
        }  # fmt: skip
        print(work, part["times_faster"], part["quality"], flush=True)
        whole = {"schema": "headstart.engine/1", "status": "ok", "parts": []}
        if RESULT.exists():
            whole = json.loads(RESULT.read_text())
        here = (work, set(part["times_faster"]), part["environment"]["device"])
        others = [p for p in whole["parts"] if (p["work"], set(p["times_faster"]), p["environment"]["device"]) != here]
        write_json(RESULT, whole | {"parts": [*others, part]})


if __name__ == "__main__":
    main()
