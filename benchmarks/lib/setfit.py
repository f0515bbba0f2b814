"""A peer: SetFit with MiniLM on the same few examples, its paper's 20 pairs a sentence, one epoch.

A draw whose facts and test predictions are in the folder is not run again. Needs `pip install -e '.[bench]'`.
"""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.lib.data import drawn


def setfit(
    model: str, data: Any, places: np.ndarray, seed: int, iterations: int, longest: int | None, test: bool = True
) -> dict[str, Any]:
    """One SetFit training at its defaults (batch 16, rate 2e-5, logistic head) but `iterations` pairs a sentence."""
    import torch
    from datasets import Dataset
    from setfit import SetFitModel, Trainer, TrainingArguments

    train = data.train.take(places)
    rows = Dataset.from_dict({"text": train.inputs(), "label": [int(t) for t in train.targets]})
    with tempfile.TemporaryDirectory() as folder:
        network = SetFitModel.from_pretrained(model)
        if longest:
            network.model_body.max_seq_length = longest
        arguments = TrainingArguments(
            output_dir=folder, num_iterations=iterations, seed=seed, report_to="none", save_strategy="no",
            show_progress_bar=False,
        )  # fmt: skip
        start, start_cpu = time.perf_counter(), time.process_time()
        trainer = Trainer(model=network, args=arguments, train_dataset=rows)
        trainer.train()
        seconds, cpu = time.perf_counter() - start, time.process_time() - start_cpu
        if not test:
            return {"seconds": seconds, "cpu_seconds": cpu}
        scores = np.asarray(torch.as_tensor(network.predict_proba(data.test.inputs())), dtype=np.float32)
    accuracy = float((scores.argmax(1) == data.test.targets).mean())
    return {"seconds": seconds, "cpu_seconds": cpu, "scores": scores, "accuracy": accuracy}


def kept(
    folder: Path, model: str, data: Any, each: int, number: int, iterations: int, longest: int | None
) -> tuple[dict[str, Any], Any]:
    """Facts and test predictions of one draw, run unless an earlier call left them in the folder."""
    import torch

    from headstart.core.disk.files import write_json
    from headstart.stats.predictions import Predictions

    facts, scores = folder / f"draw{number}.json", folder / f"draw{number}.safetensors"
    if not facts.exists():
        folder.mkdir(parents=True, exist_ok=True)
        run = setfit(model, data, drawn(data.train.targets, each, number), number, iterations, longest)
        Predictions(data.test.ids, data.test.targets, run.pop("scores")).write(scores)
        write_json(facts, {"draw": number, "threads": torch.get_num_threads(), **run})
    return json.loads(facts.read_text()), Predictions.read(scores)
