"""The engine against its peers, work by work: seconds from raw texts to a trained model, and peak memory.

Every training runs in a process of its own, sides take turns, and what is told is the median of the ratios of the
pairs. The peer is there twice: transformers' Trainer (with PEFT for LoRA) at its defaults, and as a knowing user would
tune it: batches of like length, and bf16 where the processor has it; the side `eager` has plain attention besides,
which few know to be faster in training on a CPU. MiniLM on TREC; `--examples` and `--epochs` make it smaller for slow
machines, on all sides. The answers to the test questions are compared too, paired. The result has a part a work and its
sides.
"""

from __future__ import annotations

import tempfile
import time
from functools import partial
from typing import Annotated, Any

import numpy as np
from benchmarks.lib.data import minilm, shared, some
from benchmarks.lib.results import Note, Results, machine, replaced
from benchmarks.lib.timing import alone, in_turn, times_faster
from benchmarks.lib.trainer import probabilities, rows

RESULTS = ("engine",)
QUICK = {"examples": 200, "epochs": 1, "repeats": 1}
WORKS = {"probe": 1, "full": 3, "lora": 3, "freeze": 10}
"and its epochs"
SIDES = {"probe": ("ours", "floor"), **dict.fromkeys(("full", "lora", "freeze"), ("ours", "defaults", "tuned"))}
"where none are named"
RATES = {"full": 5e-5, "lora": 1e-3, "freeze": 5e-5}
FROZEN = 5  # embeddings and the lower four of six blocks


def questions(examples: int) -> Any:
    """TREC with so many training examples; 0 for all."""
    import headstart

    return some(headstart.read(shared() / "text" / "trec"), examples)


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
    backbone, computing = headstart.load(minilm()), compute(None)
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
    tokenizer = AutoTokenizer.from_pretrained(minilm())
    eager = {"attn_implementation": "eager"} if computing.device.type == "cpu" else {}
    network = AutoModel.from_pretrained(minilm(), add_pooling_layer=False, **eager)
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
    tokenizer = AutoTokenizer.from_pretrained(minilm())
    attention = {"attn_implementation": "eager"} if side == "eager" else {}
    network = AutoModelForSequenceClassification.from_pretrained(
        minilm(), num_labels=len(data.task.labels), **attention
    )
    if work == "lora":
        from peft import LoraConfig, get_peft_model

        layers = r".*encoder\.layer\.\d+\..*\.(query|key|value|dense)"
        network = get_peft_model(network, LoraConfig(task_type="SEQ_CLS", r=8, lora_alpha=16, target_modules=layers))
    if work == "freeze":
        network.bert.embeddings.requires_grad_(False)
        for block in network.bert.encoder.layer[: FROZEN - 1]:
            block.requires_grad_(False)

    more = {"train_sampling_strategy": "group_by_length", "bf16": bf16} if tuned else {}
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            folder, num_train_epochs=epochs, per_device_train_batch_size=32, per_device_eval_batch_size=64,
            learning_rate=RATES[work], save_strategy="no", report_to=[], disable_tqdm=True, logging_strategy="no",
            use_cpu=compute(None).device.type == "cpu", **more,
        )  # fmt: skip
        start = time.perf_counter()
        run = Trainer(
            network,
            arguments,
            train_dataset=rows(tokenizer, data.train),
            data_collator=DataCollatorWithPadding(tokenizer),
        )
        run.train()
        seconds = time.perf_counter() - start
        scores = probabilities(run, rows(tokenizer, data.test))
    return {"seconds": seconds, **answered(data, scores), "precision": "bf16" if bf16 else "fp32"}


def one(work: str, side: str, examples: int, epochs: int) -> dict[str, Any]:
    """One training of a side, and its peak memory."""
    from headstart.engine.machine.meter import meter
    from headstart.engine.machine.precision import compute

    data = questions(examples)
    with meter(compute(None).device) as reading:
        if side == "ours":
            found = ours(work, data, epochs)
        elif side == "floor":
            found = floor(data)
        else:
            found = trainer(work, data, epochs, side)
    return {**found, "peak_memory_bytes": reading.peak_memory_bytes}


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


def measure(
    work: Annotated[tuple[str, ...], "of probe, full, lora, freeze"] = tuple(WORKS),
    sides: Annotated[
        tuple[str, ...] | None, "ours and these; where none are named: floor, or defaults and tuned"
    ] = None,
    repeats: int = 3,
    examples: Annotated[int, "of the training split, 0 for all"] = 0,
    epochs: Annotated[int, "0 for those of the work"] = 0,
    note: Note = "",
) -> Results:
    import torch

    from headstart.engine.machine.precision import compute

    for name in work:
        many, compared = epochs or WORKS[name], sides or SIDES[name]
        runs = in_turn(name, compared, partial(alone, "engine:one", name), repeats, examples, many)
        data, peers = questions(examples), [side for side in compared if side != "ours"]
        part = {
            "work": name, "epochs": many, "examples": examples or "all", "runs": runs,
            "times_faster": times_faster(runs),
            "quality": {side: quality(data, runs, side) for side in peers if "answers" in runs[0][side]},
            "threads": torch.get_num_threads(), "note": note,
            "environment": machine(compute(None).precision, str(compute(None).device)),
        }  # fmt: skip
        print(name, part["times_faster"], part["quality"], flush=True)
        key = lambda one: (one["work"], set(one["times_faster"]), one["environment"]["device"])  # noqa: E731
        yield "engine", replaced("engine", "headstart.engine/1", part, key)
