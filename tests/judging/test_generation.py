"""Generation: what counts as right, against transformers' own decoding and likelihoods."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch

import headstart
from backbones.tiny import bytelevel, save
from headstart.backbones.networks.language import new
from headstart.core.errors import ConfigurationError, ModelError
from headstart.judging.checks.generation import Generation, Speaker, last_number


@pytest.fixture(scope="module")
def speaker() -> Speaker:
    tokenizer = bytelevel()
    network = new("causal", "tiny", tokenizer, 64, 0.0, False, 3).module.eval()
    return Speaker(network, tokenizer, 0, contextlib.nullcontext)


def test_padded_prompts_are_answered_as_alone(speaker: Speaker) -> None:
    prompts = ["the cat", "a rather longer question , is it", "x", "two words"]
    found = speaker.answers(prompts, 6)
    for prompt, said in zip(prompts, found):
        ids = torch.tensor([speaker.tokenizer(prompt)["input_ids"]])
        for _ in range(6):
            with torch.no_grad():
                ids = torch.cat([ids, speaker.network(input_ids=ids).logits[:, -1:].argmax(-1)], 1)
            if int(ids[0, -1]) == speaker.tokenizer.eos_token_id:
                break
        start = len(speaker.tokenizer(prompt)["input_ids"])
        assert said == speaker.tokenizer.decode(ids[0, start:], skip_special_tokens=True)


def test_likelihoods_are_transformers_loss_on_the_choice(speaker: Speaker) -> None:
    prompt, choices = "the capital is", [" red", " blue bird", " x"]
    start = speaker.tokenizer(prompt)["input_ids"]
    for choice, found in zip(choices, speaker.likelihoods(prompt, choices)):
        ids = start + speaker.tokenizer(choice)["input_ids"]
        labels = [-100] * len(start) + ids[len(start) :]
        with torch.no_grad():
            loss = speaker.network(input_ids=torch.tensor([ids]), labels=torch.tensor([labels])).loss
        assert found == pytest.approx(-float(loss), rel=1e-5)


@pytest.mark.parametrize(
    ("match", "said", "answer", "right"),
    [
        ("exact", " Paris \nQuestion: next", "paris", True),
        ("exact", "Paris, France", "Paris", False),
        ("number", "so 3 + 4 = 7 apples\n9", "She has 3 and 4.\n#### 7", True),
        ("number", "1,234.50", "#### 1234.5", True),
        ("number", "seven", "#### 7", False),
        ("number", "-7", "#### 7", False),
    ],
)
def test_what_counts_as_right(match: Any, said: str, answer: str, right: bool) -> None:
    assert Generation(data="x", match=match)._is_right(said, answer) is right


def test_the_last_number() -> None:
    assert last_number("no number") is None
    assert last_number("from 2 to 1,000,000") == 1e6


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    from cli.calling import reviews

    monkeypatch.chdir(tmp_path)
    tokenizer = bytelevel()
    new("causal", "tiny", tokenizer, 64, 0.0, False, 0).save(tmp_path / "lm", tokenizer, False)
    reviews(tmp_path / "reviews.csv")
    headstart.fit("reviews.csv", "lm", out="run", method="full", epochs=1, trials=1)
    rows = [{"question": f"the {w}", "choices": [" cat", " dog"], "answer": i % 2} for i, w in enumerate("abcdefgh")]
    (tmp_path / "q.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return tmp_path


def test_base_and_tuned_model_are_asked(run: Path) -> None:
    (run / "suite.toml").write_text('[[check]]\nkind = "generation"\ndata = "q.jsonl"\nmatch = "choice"\n')
    (check,) = headstart.judge("run", suite="suite.toml").models[0].checks
    assert check.examples == 8
    backbone = headstart.load("lm")
    from headstart.backbones.networks.language import with_head

    speaker = Speaker(with_head("lm", backbone.module)[0], backbone.preparation.tokenizer, 0, contextlib.nullcontext)
    rows = [json.loads(line) for line in (run / "q.jsonl").read_text().splitlines()]
    right = [
        int(likely[1] > likely[0]) == row["answer"]
        for row in rows
        for likely in [speaker.likelihoods(row["question"], row["choices"])]
    ]
    assert check.base.value == pytest.approx(sum(right) / 8, abs=0.13)  # bf16 may turn a near tie


def test_what_cannot_be_asked(run: Path) -> None:
    for line, words in (
        ('data = "none.jsonl"', "there is no table"), ('data = "q.jsonl"\nprompt = "text"', "has no column 'text'"),
        ('data = "q.jsonl"\ntemplate = "Q:"', "has to hold {prompt}"),
        ('data = "reviews.csv"\nmatch = "choice"\nprompt = "text"\nanswer = "label"\nchoices = "text"', "lists"),
    ):  # fmt: skip
        (run / "suite.toml").write_text(f'[[check]]\nkind = "generation"\n{line}\n')
        with pytest.raises(ConfigurationError, match=words):
            headstart.judge("run", suite="suite.toml")
    save("bert", run / "bert")
    headstart.fit("reviews.csv", "bert", out="other", method="full", epochs=1, trials=1)
    (run / "suite.toml").write_text('[[check]]\nkind = "generation"\ndata = "q.jsonl"\n')
    with pytest.raises((ConfigurationError, ModelError), match="no causal|no head"):
        headstart.judge("other", suite="suite.toml")
