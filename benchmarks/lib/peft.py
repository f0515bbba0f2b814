"""A peer: PEFT's LoRA, prefix and prompt tuning under transformers' Trainer, as a knowing user would run them.

A linear head on the averaged tokens, as ours: BertForSequenceClassification would read a pooler that MiniLM never
trained, and PEFT's prefix can't go into it any more. Batches of like length, 10 % warm-up, the weights best on
validation over the epochs. The budget is that of our methods: as many trials of the learning rate, from the default and
times three, chosen by seed 0 on validation; then all seeds. A training that is in the folder is not run again.
"""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.lib.trainer import probabilities, rows

RATES = {"lora": 1e-3, "prefix": 1e-2, "prompt": 3e-2}
"where tuning begins: the same as ours"


def configuration(name: str) -> Any:
    """Rank and tokens as ours: LoRA on all linear layers of the blocks, 16 virtual tokens."""
    from peft import LoraConfig, PrefixTuningConfig, PromptTuningConfig

    if name == "lora":
        layers = r".*encoder\.layer\.\d+\..*\.(query|key|value|dense)"
        return LoraConfig(task_type="FEATURE_EXTRACTION", r=8, lora_alpha=16, target_modules=layers)
    kind = PrefixTuningConfig if name == "prefix" else PromptTuningConfig
    return kind(task_type="FEATURE_EXTRACTION", num_virtual_tokens=16)


def classifier(encoder: Any, classes: int) -> Any:
    """The adapted encoder with a linear head on its averaged tokens."""
    import torch
    from torch import nn

    class Classifier(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder, self.head = encoder, nn.Linear(encoder.config.hidden_size, classes)

        def forward(self, input_ids: Any, attention_mask: Any, labels: Any = None) -> dict[str, Any]:
            hidden = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
            hidden = hidden[:, -input_ids.shape[1] :]  # prompt tuning gives the virtual tokens' places too
            mask = attention_mask[..., None].to(hidden.dtype)
            logits = self.head((hidden * mask).sum(1) / mask.sum(1))
            if labels is None:
                return {"logits": logits}
            return {"loss": torch.nn.functional.cross_entropy(logits, labels), "logits": logits}

    return Classifier()


def train(model: str, data: Any, name: str, rate: float, seed: int, epochs: int) -> dict[str, Any]:
    """One training; facts and the test's probabilities."""
    import torch
    from peft import get_peft_model
    from transformers import (
        AutoModel,
        AutoTokenizer,
        DataCollatorWithPadding,
        Trainer,
        TrainerCallback,
        TrainingArguments,
        set_seed,
    )

    set_seed(seed)
    tokenizer = AutoTokenizer.from_pretrained(model)
    base = AutoModel.from_pretrained(model, attn_implementation="eager", add_pooling_layer=False)
    network = classifier(get_peft_model(base, configuration(name)), len(data.task.labels))

    def accuracy(found: Any) -> dict[str, float]:
        return {"accuracy": float((found.predictions.argmax(1) == found.label_ids).mean())}

    class Best(TrainerCallback):
        """Trained weights at the epoch that was best on validation; the Trainer's own saving stumbles over PEFT's
        shared embeddings."""

        value, state = (-1.0, 0.0), {}

        def on_evaluate(self, *_: Any, metrics: dict[str, float], **more: Any) -> None:
            now = (metrics["eval_accuracy"], -metrics["eval_loss"])
            if now > self.value:
                self.value = now
                self.state = {n: p.detach().clone() for n, p in network.named_parameters() if p.requires_grad}

    best = Best()
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            folder, num_train_epochs=epochs, per_device_train_batch_size=32, per_device_eval_batch_size=64,
            learning_rate=rate, weight_decay=0.01, warmup_steps=0.1, seed=seed, report_to=[], disable_tqdm=True,
            eval_strategy="epoch", save_strategy="no", logging_strategy="no", train_sampling_strategy="group_by_length",
            label_names=["labels"],
        )  # fmt: skip
        run = Trainer(
            network, arguments, train_dataset=rows(tokenizer, data.train),
            eval_dataset=rows(tokenizer, data.validation),
            data_collator=DataCollatorWithPadding(tokenizer), compute_metrics=accuracy, callbacks=[best],
        )  # fmt: skip
        start = time.perf_counter()
        run.train()
        seconds = time.perf_counter() - start
        network.load_state_dict(best.state, strict=False)
        held = run.evaluate()
        scores = probabilities(run, rows(tokenizer, data.test))
    return {
        "method": name, "seed": seed, "rate": rate, "epochs": epochs, "seconds": seconds,
        "threads": torch.get_num_threads(), "validation": held["eval_accuracy"], "loss": held["eval_loss"],
        "accuracy": float((scores.argmax(1) == data.test.targets).mean()),
        "trained": sum(p.numel() for p in network.parameters() if p.requires_grad), "scores": scores,
    }  # fmt: skip


def kept(folder: Path, model: str, data: Any, name: str, rate: float, seed: int, epochs: int) -> tuple[dict, Any]:
    """Facts and test predictions of one training, run unless an earlier call left them."""
    from headstart.core.disk.files import write_json
    from headstart.stats.predictions import Predictions

    stem = f"{name}-{rate:g}-seed{seed}"
    facts, scores = folder / f"{stem}.json", folder / f"{stem}.safetensors"
    if not facts.exists():
        folder.mkdir(parents=True, exist_ok=True)
        run = train(model, data, name, rate, seed, epochs)
        Predictions(data.test.ids, np.asarray(data.test.targets), run.pop("scores")).write(scores)
        write_json(facts, run)
        print(json.dumps(run), flush=True)
    return json.loads(facts.read_text()), Predictions.read(scores)


def tuned(
    folder: Path, model: str, data: Any, name: str, seeds: int, trials: int, epochs: int
) -> tuple[list[dict[str, Any]], float, list[Any]]:
    """Facts of every training, the rate chosen on validation, and its test predictions, one a seed."""
    tried = [kept(folder, model, data, name, RATES[name] * 3**i, 0, epochs)[0] for i in range(trials)]
    rate = max(tried, key=lambda facts: (facts["validation"], -facts["loss"]))["rate"]
    runs = [kept(folder, model, data, name, rate, seed, epochs) for seed in range(seeds)]
    others = [facts for facts in tried if facts["rate"] != rate]
    return [*others, *(facts for facts, _ in runs)], rate, [found for _, found in runs]
