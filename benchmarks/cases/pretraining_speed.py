"""Tokens a second of masked and causal pretraining, beside transformers' Trainer on the same network and text.

The text is the first paragraphs of debian-descriptions in English under the tokenizer of builtin/gist, about 8,192
tokens a step, no dropout, one pass. The Trainer runs at its defaults, and tuned: bf16, and batches of like length for
mlm (windows of clm are all alike). Counted are tokens of text, not padding. In pairs: all three of an objective in
turn, each warmed up before on the first 300 paragraphs.
"""

from __future__ import annotations

import itertools
import statistics
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from benchmarks.lib.data import shared
from benchmarks.lib.results import Note, Results, machine
from benchmarks.lib.timing import in_turn, times_faster

RESULTS = ("pretraining-speed",)
QUICK = {"objective": ["mlm"], "paragraphs": 100, "pairs": 1}
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
        corpus = Corpus((str(shared() / "text" / "debian-descriptions" / "en.txt.gz"),))
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
        from headstart.engine.runtime import Runtime
        from headstart.pretraining.jobs.language import LanguageModelling

        job = LanguageModelling(self.network(), self.packed, self.framing, self.objective, compute("cpu"), 0, "")
        start = time.perf_counter()
        fit(job, Budget(1), Runtime(job.compute))
        return time.perf_counter() - start

    def side(self, name: str) -> float:
        return self.ours() if name == "ours" else self.peer(name)

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


def measure(
    objective: Annotated[tuple[str, ...], "of mlm, clm"] = ("mlm", "clm"),
    size: str = "mini",
    paragraphs: int = 2000,
    pairs: int = 3,
    note: Note = "",
) -> Results:
    import torch

    from headstart.engine.machine.precision import compute

    found = {}
    with tempfile.TemporaryDirectory() as place:
        for name in objective:
            warm = Work(name, size, min(300, paragraphs), Path(place) / f"warm-{name}")
            in_turn(f"{name}, warming up", ("ours", *PEERS), warm.side, 1)
            work = Work(name, size, paragraphs, Path(place) / name)
            runs = in_turn(name, ("ours", *PEERS), work.side, pairs)
            times = times_faster(runs)
            seconds = {side: [run[side] for run in runs] for side in runs[0]}
            found[name] = {"tokens": work.tokens, "steps": len(work.pieces), "seconds": seconds, "times": times}
            print(name, times, flush=True)
    yield "pretraining-speed", {
        "schema": "headstart.pretraining-speed/1", "status": "ok", "note": note, "size": size, "length": LENGTH,
        "batch_tokens": BATCH_TOKENS, "paragraphs": paragraphs, "target": 1.5, "found": found,
        "threads": torch.get_num_threads(), "environment": machine(compute("cpu").precision),
    }  # fmt: skip
