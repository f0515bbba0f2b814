"""Perplexity as a check: against transformers' own losses, and what tuning does to it."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import headstart
from backbones.tiny import WORDS, bytelevel, save, wordpiece
from headstart.backbones.networks.language import new
from headstart.core.errors import ConfigurationError, ModelError
from headstart.judging.checks.language import LOG_PERPLEXITY, TURNS, Perplexity, _nats
from headstart.stats.predictions import Predictions


def network(kind: Any) -> tuple[Any, Any]:
    tokenizer = wordpiece() if kind == "masked" else bytelevel()
    return new(kind, "tiny", tokenizer, 64, 0.0, False, 0).module.eval(), tokenizer


def nats(kind: str, ids: torch.Tensor) -> np.ndarray:
    module, tokenizer = network(kind)
    return _nats(module, kind, ids, tokenizer, contextlib.nullcontext, torch.device("cpu")).numpy()


def test_causal_nats_are_transformers_loss() -> None:
    module, _ = network("causal")
    ids = torch.randint(20, 120, (5, 12), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        wanted = [float(module(input_ids=row[None], labels=row[None]).loss) * 11 for row in ids]
    assert nats("causal", ids) == pytest.approx(wanted, rel=1e-5)


def test_masked_nats_ask_for_each_token_once() -> None:
    """Against transformers' masked loss, one window and one turn at a time."""
    module, tokenizer = network("masked")
    ids = torch.randint(20, 120, (3, 17), generator=torch.Generator().manual_seed(0))
    wanted = np.zeros(3)
    asked = np.zeros(17)
    for turn in range(TURNS):
        for row in range(3):
            text = [int(i) for i in ids[row]]
            hidden = [t for t in range(17) if t % TURNS == turn]
            asked[hidden] += 1 / 3
            shown = [tokenizer.cls_token_id, *text, tokenizer.sep_token_id]
            labels = [-100] * len(shown)
            for t in hidden:
                labels[t + 1], shown[t + 1] = shown[t + 1], tokenizer.mask_token_id
            with torch.no_grad():
                loss = module(input_ids=torch.tensor([shown]), labels=torch.tensor([labels])).loss
            wanted[row] += float(loss) * len(hidden)
    assert asked == pytest.approx(np.ones(17))
    assert nats("masked", ids) == pytest.approx(wanted, rel=1e-5)


def test_the_metric_is_nats_a_token() -> None:
    found = Predictions(np.arange(3), np.array([10.0, 20.0, 10.0]), np.array([[5.0], [10.0], [25.0]]))
    assert LOG_PERPLEXITY.of(found) == pytest.approx(1.0)
    assert not LOG_PERPLEXITY.higher_is_better


@pytest.fixture
def trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small BERT pretrained on sentences of a few patterns, reviews to tune it on, and the sentences."""
    from cli.calling import reviews
    from cli.test_pretrain import LANGUAGE, corpus
    from headstart.cli.main import main

    monkeypatch.chdir(tmp_path)
    corpus(tmp_path / "general.txt", 600)
    reviews(tmp_path / "reviews.csv")
    arguments = ["pretrain", "mlm", "general.txt", "--out", "lm", *LANGUAGE, "--set", "epochs=4", "--quiet"]
    monkeypatch.setattr("sys.argv", ["headstart", *arguments])
    with contextlib.suppress(SystemExit):
        main()
    return tmp_path


def test_what_tuning_forgets_is_found(trained: Path) -> None:
    """Tuned hard, the network has forgotten the patterns; under LoRA's small rate it has not."""
    (trained / "suite.toml").write_text(
        '[[check]]\nkind = "perplexity"\ndata = "general.txt"\nwindows = 40\nlength = 32\n'
    )
    found = {}
    for name, rate in (("hard", 3e-2), ("mild", 1e-6)):
        headstart.fit(
            "reviews.csv", "lm", out=name, method="full", settings={"learning_rate": rate}, epochs=3, trials=1
        )
        (check,) = headstart.judge(name, suite="suite.toml").models[0].checks
        found[name] = check
    assert 0 < found["hard"].base.value < 5
    assert found["hard"].base.value == found["mild"].base.value
    assert found["hard"].status == "regressed"
    assert found["hard"].verdict == "failed"
    assert abs(found["mild"].difference) < 0.05
    assert found["mild"].verdict == "passed"
    lines = (trained / "general.txt").read_text().splitlines(keepends=True)
    (trained / "parted").mkdir()
    for name, part in (("test.txt", lines[:200]), ("train.txt", lines[200:])):
        (trained / "parted" / name).write_text("".join(part))
    (trained / "suite.toml").write_text('[[check]]\nkind = "perplexity"\ndata = "parted"\nwindows = 40\nlength = 32\n')
    (check,) = headstart.judge("mild", suite="suite.toml").models[0].checks
    assert check.base.value == found["mild"].base.value, "what judges reads all of a folder"


def test_a_base_without_a_head_over_the_vocabulary_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cli.calling import reviews

    monkeypatch.chdir(tmp_path)
    save("bert", tmp_path / "bert")
    reviews(tmp_path / "reviews.csv")
    (tmp_path / "general.txt").write_text("\n".join(" ".join(WORDS) for _ in range(20)))
    headstart.fit("reviews.csv", "bert", out="run", method="full", epochs=1, trials=1)
    suite = tmp_path / "suite.toml"
    suite.write_text('[[check]]\nkind = "perplexity"\ndata = "general.txt"\n')
    with pytest.raises(ModelError, match="no head over the vocabulary"):
        headstart.judge("run", suite=suite)
    for line, words in (
        ('data = ""', "needs data"), ('data = "general.txt"\nmetric = "accuracy"', "leave metric out"),
        ('data = "general.txt"\nlength = 2', "at least 2 windows"),
    ):  # fmt: skip
        suite.write_text(f'[[check]]\nkind = "perplexity"\n{line}\n')
        with pytest.raises(ConfigurationError, match=words):
            headstart.judge("run", suite=suite)


def test_a_text_too_short_is_refused(tmp_path: Path) -> None:
    (tmp_path / "short.txt").write_text("a few words")
    check = Perplexity(data="short.txt")
    with pytest.raises(ConfigurationError, match="fewer than two windows"):
        check._windows(wordpiece(), tmp_path, 16)
