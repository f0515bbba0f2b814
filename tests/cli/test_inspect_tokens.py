"""`inspect DATA --model M --tokens`: conversations as a model sees them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from backbones.tiny import save
from cli.calling import call, reviews


@pytest.fixture(scope="module")
def decoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save("gpt2", tmp_path_factory.mktemp("decoder") / "gpt2")


def questions(file: Path) -> Path:
    rows = [{"ask": f"What is {n}?", "say": f"It is {n}é."} for n in range(9)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


def test_tokens(decoder: Path, tmp_path: Path) -> None:
    file = questions(tmp_path / "faq.jsonl")
    told = call(
        "inspect", file, "--model", decoder, "--tokens", "2", "--prompt", "ask", "--answer", "say", "--max-length", "60"
    ).expect(0).out  # fmt: skip
    assert "prompt: ask, answer: say (generation)" in told
    assert "of all tokens are trained" in " ".join(told.split())
    assert told.count(" tokens, 12 trained\n") == 2
    shown = re.sub(r"\d", "0", told.replace("│", ""))
    assert "User: What is 0?⏎\nAssistant:⟦ It is 0Ã©.<|endoftext|>⟧⏎" in shown, "half a sign is no text"


def test_refusals(decoder: Path, tmp_path: Path) -> None:
    file = questions(tmp_path / "faq.jsonl")
    call("inspect", decoder, "--tokens", "2").refused("headstart inspect DATA --model M")
    call("inspect", reviews(tmp_path / "reviews.csv"), "--model", decoder).refused("--prompt and --answer")
    call("inspect", file, "--model", decoder, "--prompt", "ask", "--answer", "sai").refused("Did you mean 'say'?")
    short = ("--prompt", "ask", "--answer", "say", "--max-length", "12")
    call("inspect", file, "--model", decoder, *short).refused("9 of 9 conversations are longer than the 12 tokens")
