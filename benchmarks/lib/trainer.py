"""A peer: transformers' Trainer, as a knowing user would run it without Headstart on the same examples."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np


def rows(tokenizer: Any, examples: Any) -> list[dict[str, Any]]:
    """What the Trainer takes: token ids, at most 256, and labels."""
    tokens = tokenizer(examples.inputs(), truncation=True, max_length=256)
    return [
        {"input_ids": ids, "attention_mask": mask, "labels": int(label)}
        for ids, mask, label in zip(tokens["input_ids"], tokens["attention_mask"], examples.targets)
    ]


def trainer(model: str, data: Any, seed: int, epochs: int = 3, batch: int = 32, rate: float = 5e-5) -> dict[str, Any]:
    """Hugging Face's Trainer at its defaults (but batch 32): full fine-tuning of the architecture's own classifier."""
    from transformers import (
        AutoModelForSequenceClassification,
        AutoTokenizer,
        DataCollatorWithPadding,
        Trainer,
        TrainingArguments,
        set_seed,
    )

    set_seed(seed)
    tokenizer = AutoTokenizer.from_pretrained(model)
    network = AutoModelForSequenceClassification.from_pretrained(model, num_labels=len(data.task.labels))

    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            folder, num_train_epochs=epochs, per_device_train_batch_size=batch, per_device_eval_batch_size=64,
            learning_rate=rate, save_strategy="no", report_to=[], disable_tqdm=True, seed=seed, logging_strategy="no",
        )  # fmt: skip
        run = Trainer(
            network,
            arguments,
            train_dataset=rows(tokenizer, data.train),
            data_collator=DataCollatorWithPadding(tokenizer),
        )
        start = time.perf_counter()
        run.train()
        seconds = time.perf_counter() - start
        scores = probabilities(run, rows(tokenizer, data.test))
    return {"seed": seed, "seconds": seconds, "accuracy": float((scores.argmax(1) == data.test.targets).mean()),
            "ids": data.test.ids, "targets": data.test.targets, "scores": scores}  # fmt: skip


def probabilities(run: Any, rows: list[dict[str, Any]]) -> np.ndarray:
    """The Trainer's class probabilities of these rows, in their order: [n, classes].

    A Trainer that groups by length does so for what it predicts too, and gives it back in that order.
    """
    import torch

    run.args.train_sampling_strategy = "random"
    found = run.predict(rows)
    if list(found.label_ids) != [row["labels"] for row in rows]:
        raise SystemExit("the Trainer's predictions came back in another order than the examples")
    return torch.tensor(found.predictions).float().softmax(-1).numpy()


def kept(folder: Path, model: str, data: Any, seed: int) -> tuple[dict[str, Any], Any]:
    """Facts and test predictions of the Trainer with this seed, run unless an earlier call left them in the folder."""
    from headstart.core.disk.files import write_json
    from headstart.stats.predictions import Predictions

    facts, scores = folder / f"seed{seed}.json", folder / f"seed{seed}.safetensors"
    if not facts.exists():
        run = trainer(model, data, seed)
        Predictions(run["ids"], np.asarray(run["targets"]), run["scores"]).write(scores)
        write_json(facts, {key: run[key] for key in ("seed", "seconds", "accuracy")})
    return json.loads(facts.read_text()), Predictions.read(scores)
