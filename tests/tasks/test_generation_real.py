"""SmolLM2 on questions about the Debian project: a run with a real model, template and data."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import headstart
from headstart.artifacts.predictor import Predictor
from headstart.core.chat import Chat
from tasks.asking import data_of

MODEL = Path.home() / ".cache" / "headstart-models" / "smollm2"
KNOWLEDGE = Path(__file__).parents[3] / "shared" / "data" / "text" / "knowledge" / "questions.jsonl"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not MODEL.is_dir(), reason="SmolLM2 is not on this machine"),
    pytest.mark.skipif(not KNOWLEDGE.is_file(), reason="the knowledge set is not on this machine"),
]


def test_lora_learns_the_form_of_the_answers(tmp_path: Path, _fp32_by_default: Callable[[str], bool]) -> None:  # noqa: PT019
    """In bf16 where the processor multiplies in it: about 240 tokens a second on one thread, else a third."""
    rows = [json.loads(line) for line in KNOWLEDGE.read_text(encoding="utf-8").splitlines()]
    facts = set([row["fact"] for row in rows if row["split"] == "train"][:160])

    def chats(*splits: str) -> list[Chat]:
        return [
            Chat.of([{"role": "user", "content": r["question"]}, {"role": "assistant", "content": r["answer"]}],
                    r["accept"])
            for r in rows if r["split"] in splits and r["fact"] in facts
        ]  # fmt: skip

    train, validation = chats("train")[:160], chats("validation")[:16]
    backbone = headstart.load(MODEL, vocabulary=True)
    found = headstart.compare(
        data_of(train, validation, chats("test_paraphrase")[:24]), backbone, out=tmp_path / "run",
        methods=["zeroshot", "lora"], seeds=1, trials=1, epochs=3, batch_size=8, keep=True,
        precision="bf16" if _fp32_by_default("cpu") else "fp32",
    )  # fmt: skip
    rows_of = {row.method: row for row in found.rows}
    base, tuned = rows_of["zeroshot"], rows_of["lora"]
    assert tuned.status == base.status == "ok"
    also = {name: {s.metric: s.value for s in row.also} for name, row in rows_of.items()}
    assert also["lora"]["stopped"] >= 0.95
    assert also["lora"]["f1"] > also["zeroshot"]["f1"], "short answers, as those of the examples"
    assert also["lora"]["bits_per_byte"] < 0.8 * also["zeroshot"]["bits_per_byte"]
    assert (tuned.value or 0) >= (base.value or 0)
    kept = [json.loads(line) for line in (tmp_path / "run" / "predictions" / "lora-seed0.jsonl").open()]
    predictor = Predictor(tmp_path / "run" / "models" / "lora" / "seed0", backbone=backbone)
    answers = [one.label for one in predictor([Chat.of(row["prompt"]) for row in kept])]
    predictor.close()
    assert sum(a == row["answer"] for a, row in zip(answers, kept)) >= len(kept) - 1, "rounding by batch at most"
