"""The peer of the contrastive few-shot method: SetFit with MiniLM on the same draws, its paper's 20 pairs a sentence.

    python benchmarks/setfit_peer.py --data trec --each 8 [--draws 10] [--iterations 20] [--out DIR]

Leaves facts and test predictions of each draw in DIR/DATA-EACH-ITERATIONS; a draw that is there is not run again.
`benchmarks/fewshot.py` calls it, and pairs its predictions with ours. Needs `pip install -e '.[bench]'`.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
import peers


def draw(targets: np.ndarray, each: int, number: int) -> np.ndarray:
    """Places of `each` training examples a class, drawn with the seed `number`."""
    rng = np.random.default_rng(number)
    places = [rng.choice(np.flatnonzero(targets == label), each, replace=False) for label in np.unique(targets)]
    return np.sort(np.concatenate(places))


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
    import json

    import torch

    from headstart.core.disk.files import write_json
    from headstart.stats.predictions import Predictions

    facts, scores = folder / f"draw{number}.json", folder / f"draw{number}.safetensors"
    if not facts.exists():
        folder.mkdir(parents=True, exist_ok=True)
        run = setfit(model, data, draw(data.train.targets, each, number), number, iterations, longest)
        Predictions(data.test.ids, data.test.targets, run.pop("scores")).write(scores)
        write_json(facts, {"draw": number, "threads": torch.get_num_threads(), **run})
    return json.loads(facts.read_text()), Predictions.read(scores)


def main() -> None:
    import headstart

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="trec")
    parser.add_argument("--each", type=int, default=8)
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--iterations", type=int, default=20)
    parser.add_argument("--longest", type=int, default=None, help="tokens at which texts are cut")
    parser.add_argument("--out", type=Path, default=Path("runs/setfit"))
    arguments = parser.parse_args()
    data = headstart.read(peers.shared() / "text" / arguments.data)
    folder = arguments.out / f"{arguments.data}-{arguments.each}-{arguments.iterations}"
    for number in range(arguments.draws):
        facts, _ = kept(folder, peers.minilm(), data, arguments.each, number, arguments.iterations, arguments.longest)
        print(arguments.data, arguments.each, facts, flush=True)


if __name__ == "__main__":
    main()
