"""Tokens a second of masked and causal pretraining, beside transformers' Trainer on the same network and text.

    python benchmarks/pretraining_speed.py [--objective mlm clm] [--size mini] [--paragraphs 2000] [--pairs 3]

The text is the first paragraphs of debian-descriptions in English under the tokenizer of builtin/gist, about 8,192
tokens a step, no dropout, one pass. The Trainer runs at its defaults, and tuned: bf16, and batches of like length for
mlm (windows of clm are all alike). Counted are tokens of text, not padding. In pairs: all three of an objective in
turn, each warmed up before on the first 300 paragraphs. Writes benchmarks/results/pretraining-speed.json.
"""

from __future__ import annotations

import argparse
import itertools
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
import peers

LENGTH, BATCH_TOKENS = 128, 8192
PEERS: dict[str, dict[str, Any]] = {
    "trainer": {},
    "tuned": {"bf16": True, "use_cpu": True, "train_sampling_strategy": "group_by_length"},
}


class Work:
    """One objective's network and packed text."""

    def __init__(self, objective: str, size: str, paragraphs: int, folder: Path) -> None:
        from headstart.backbones.loaders.packaged import place
        from headstart.backbones.loaders.transformers_text import tokenizer_of
        from headstart.backbones.tokenizers.tokenizer import frame, word_begins
        from headstart.data.corpus.corpus import Corpus
        from headstart.data.corpus.packed import Packed, pack
        from headstart.pretraining.jobs.language import Framing
        from headstart.pretraining.objectives.objective import OBJECTIVES

        self.objective = OBJECTIVES[objective](
            size=size, length=LENGTH, batch_tokens=BATCH_TOKENS, epochs=1, tokenizer="wordpiece"
        )
        self.tokenizer = tokenizer_of(str(place() / "gist"), False)
        corpus = Corpus((str(peers.shared() / "text" / "debian-descriptions" / "en.txt.gz"),))
        texts = list(itertools.islice(corpus.paragraphs(), paragraphs))
        ids = self.tokenizer(texts, add_special_tokens=False)["input_ids"]
        pack(folder, [ids], self.tokenizer.sep_token_id, len(self.tokenizer))
        before, after = ([], []) if self.objective.joined else frame(self.tokenizer)
        self.framing = Framing(
            before, after, self.tokenizer.pad_token_id, self.tokenizer.mask_token_id, word_begins(self.tokenizer)
        )
        self.packed = Packed(folder, LENGTH - self.framing.extra, self.objective.joined)
        self.pieces = list(self.packed.batches(BATCH_TOKENS, self.framing.extra, 0, 0))
        self.tokens = int(sum(piece.lengths.sum() for piece in self.pieces))

    def network(self) -> Any:
        from headstart.backbones.networks.language import new

        return new(self.objective.kind, self.objective.size, self.tokenizer, LENGTH, 0.0, False, 0).module

    def ours(self) -> float:
        from headstart.engine.budget import Budget
        from headstart.engine.fit import fit
        from headstart.engine.machine.precision import compute
        from headstart.pretraining.jobs.language import LanguageModelling

        job = LanguageModelling(self.network(), self.packed, self.framing, self.objective, compute("cpu"), 0, "")
        start = time.perf_counter()
        fit(job, Budget(1))
        return time.perf_counter() - start

    def peer(self, name: str) -> float:
        import torch
        from transformers import (
            AutoModelForCausalLM,
            AutoModelForMaskedLM,
            DataCollatorForLanguageModeling,
            Trainer,
            TrainingArguments,
        )

        masked = self.objective.kind == "masked"
        torch.manual_seed(0)
        made = AutoModelForMaskedLM if masked else AutoModelForCausalLM
        config = self.network().config
        config._attn_implementation = None  # the library's own choice
        network = made.from_config(config, dtype=torch.float32)
        rows = [
            {"input_ids": [*self.framing.before, *self.packed.ids[at : at + length].tolist(), *self.framing.after]}
            for piece in self.pieces
            for at, length in zip(piece.starts.tolist(), piece.lengths.tolist())
        ]
        order = np.random.default_rng(0).permutation(len(rows))
        mean = statistics.fmean(len(row["input_ids"]) for row in rows)
        options = dict(PEERS[name])
        if not masked:
            options.pop("train_sampling_strategy", None)
        with tempfile.TemporaryDirectory() as folder:
            run = Trainer(
                network,
                TrainingArguments(
                    folder, num_train_epochs=1, per_device_train_batch_size=max(1, round(BATCH_TOKENS / mean)),
                    learning_rate=1e-3, save_strategy="no", report_to=[], disable_tqdm=True, logging_strategy="no",
                    **options,
                ),
                train_dataset=[rows[i] for i in order],
                data_collator=DataCollatorForLanguageModeling(self.tokenizer, mlm=masked),
            )  # fmt: skip
            start = time.perf_counter()
            run.train()
            return time.perf_counter() - start


def main() -> None:
    import torch

    from headstart.core.disk.files import write_json
    from headstart.core.environment import environment
    from headstart.engine.machine.precision import compute

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objective", nargs="+", default=["mlm", "clm"], choices=["mlm", "clm"])
    parser.add_argument("--size", default="mini")
    parser.add_argument("--paragraphs", type=int, default=2000)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--note", default="", help="about the machine, for the record")
    arguments = parser.parse_args()
    found = {}
    with tempfile.TemporaryDirectory() as place:
        for objective in arguments.objective:
            warm = Work(objective, arguments.size, 300, Path(place) / f"warm-{objective}")
            warm.ours()
            for name in PEERS:
                warm.peer(name)
            work = Work(objective, arguments.size, arguments.paragraphs, Path(place) / objective)
            runs: dict[str, list[float]] = {"ours": [], **{name: [] for name in PEERS}}
            for _ in range(arguments.pairs):
                runs["ours"].append(work.ours())
                for name in PEERS:
                    runs[name].append(work.peer(name))
                print(
                    objective, work.tokens, {name: round(work.tokens / s[-1]) for name, s in runs.items()}, flush=True
                )
            ratios = {
                name: statistics.median(theirs / ours for theirs, ours in zip(runs[name], runs["ours"]))
                for name in PEERS
            }  # fmt: skip
            found[objective] = {"tokens": work.tokens, "steps": len(work.pieces), "seconds": runs, "times": ratios}
            print(objective, ratios, flush=True)
    write_json(peers.RESULTS / "pretraining-speed.json", {
        "schema": "headstart.pretraining-speed/1", "status": "ok", "note": arguments.note, "size": arguments.size,
        "length": LENGTH, "batch_tokens": BATCH_TOKENS, "paragraphs": arguments.paragraphs, "target": 1.5,
        "found": found, "threads": torch.get_num_threads(),
        "environment": environment("cpu", compute("cpu").precision).to_json(),
    })  # fmt: skip


if __name__ == "__main__":
    main()
