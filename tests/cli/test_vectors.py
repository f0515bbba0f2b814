"""Word vectors from the command line: training them, asking them, converting them, and adapting them."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load_file

from cli.calling import call, record, tree

FEW = ("--set", "dimension=12", "--set", "epochs=4", "--set", "threads=1", "--set", "minimum_count=2", "--quiet")
KINDS = {"royal": ["king", "queen", "crown", "throne"], "food": ["bread", "cheese", "soup", "apple"]}


def corpus(path: Path, count: int = 300) -> Path:
    """Paragraphs about one thing each."""
    rng = random.Random(0)
    lines = []
    for at in range(count):
        words = KINDS[("royal", "food")[at % 2]]
        lines.append(" ".join(f"The {rng.choice(words)} and the {rng.choice(words)}." for _ in range(6)))
    path.write_text("\n\n".join([*lines, "rare"]), encoding="utf-8")
    return path


@pytest.fixture
def texts(here: Path) -> Path:
    corpus(here / "texts.txt")
    (here / "questions.txt").write_text(": made\nking queen bread cheese\nking queen bread unheard\n")
    return here


@pytest.mark.parametrize("objective", ["skipgram", "cbow", "glove"])
def test_vectors_that_are_trained_asked_and_adapted(texts: Path, objective: str) -> None:
    more = ("--set", "epochs=20", "--set", "learning_rate=0.1", *(("--set", "sample=0") * (objective != "glove")))
    done = call("pretrain", objective, "texts.txt", "--out", "vectors", *FEW, *more).expect(0)
    assert "300 paragraphs, 9,001 words; 10 different ones, 100.0% of the text" in done.out
    assert "--model vectors" in done.out
    assert {p.name for p in (texts / "vectors").iterdir()} == {
        "config.json", "model.safetensors", "pieces.txt", "pretrained.json", "words.txt"
    }  # fmt: skip
    told = json.loads((texts / "vectors" / "pretrained.json").read_text())
    assert (told["objective"], told["words"], told["corpus"]["kept"]) == (objective, 10, 9000)
    words = (texts / "vectors" / "words.txt").read_text().split()
    assert words[:2] == ["the", "and"]
    near = json.loads(call("vectors", "vectors", "nearest", "king", "--json", "--count", "3").expect(0).out)
    if objective != "glove":  # which does not see that words never meet
        assert {one["word"] for one in near} == {"queen", "crown", "throne"}
    assert call("vectors", "vectors", "nearest", "king", "--count", "1").expect(0).out.split()[1] == near[0]["word"]
    answer = call("vectors", "vectors", "analogy", "king", "queen", "bread", "--count", "2").expect(0).out
    assert len(answer.splitlines()) == 2
    found = json.loads(call("vectors", "vectors", "benchmark", "questions.txt", "--json").expect(0).out)
    assert (found["total"]["asked"], found["total"]["skipped"]) == (1, 1)
    assert "1 skipped" in call("vectors", "vectors", "benchmark", "questions.txt").expect(0).out
    fast = ("--methods", "probe,full", "--seeds", "1", "--trials", "1", "--epochs", "1")
    call("compare", "reviews.csv", "--model", "vectors", *fast, "--out", "run").expect(0)
    assert record(texts / "run")["model"]["loader"] == "word_vectors"
    assert [row["status"] for row in record(texts / "run")["rows"]] == ["ok", "ok"]
    call("predict", "run", "reviews.csv").expect(0)


def test_formats_and_a_bilstm(texts: Path) -> None:
    call("pretrain", "cbow", "texts.txt", "--out", "vectors", *FEW).expect(0)
    before = place = "vectors"
    for form in ("text", "binary", "glove", "folder"):
        call("vectors", before, "convert", "--to", form, "--out", f"{place}.{form}.bin").expect(0)
        before = f"{place}.{form}.bin"
    for name in ("words.txt", "pieces.txt", "model.safetensors", "config.json"):
        assert (texts / before / name).read_bytes() == (texts / "vectors" / name).read_bytes()
    arguments = ("--to", "folder", "--bilstm", "8", "--unknown", "shared", "--out", "bilstm")
    call("vectors", "vectors.glove.bin", "convert", *arguments).expect(0)
    ladder = call("inspect", "bilstm").expect(0).out
    assert "recurrent" in ladder
    assert "16 features" in ladder
    assert (texts / "bilstm" / "pieces.txt").read_text() == ""
    fast = ("--methods", "freeze,full", "--seeds", "1", "--trials", "1", "--epochs", "1")
    call("compare", "reviews.csv", "--model", "bilstm", *fast, "--out", "run").expect(0)
    call("predict", "run", "reviews.csv").expect(0)
    before_all = tree(texts)
    call("vectors", "vectors", "convert", *arguments).refused("bilstm exists", "Nothing was changed")
    call("vectors", "vectors", "convert", "--to", "text", "--bilstm", "8", "--out", "x").refused("--to folder")
    assert tree(texts) == before_all


@pytest.mark.parametrize("at", range(1, 9))
def test_an_interrupted_glove_comes_to_the_same_vectors(texts: Path, monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    """Stopped behind each of its renames: the corpus as ids, the counts, and the passes."""
    arguments = ("pretrain", "glove", "texts.txt", *FEW[:-1], "--out")
    call(*arguments, "whole").expect(0)
    seen, replace = 0, os.replace

    def counting(source: Any, target: Any) -> None:
        nonlocal seen
        replace(source, target)
        seen += 1
        if seen == at:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", counting)
        assert call(*arguments, "stopped").code == 130
    kept = any((texts / "stopped").rglob("checkpoint*"))
    assert ("continues after pass" in call(*arguments, "stopped").expect(0).err) == kept
    whole, stopped = (load_file(texts / name / "model.safetensors") for name in ("whole", "stopped"))
    assert (whole["embedding.weight"] == stopped["embedding.weight"]).all()


def test_what_diverges_keeps_the_last_good_pass(texts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from headstart.pretraining.jobs import glove_kernel

    descend, calls = glove_kernel.descend, 0
    arguments = ("pretrain", "glove", "texts.txt", *FEW, "--out")

    def worse(*given: Any) -> float:
        nonlocal calls
        calls += 1
        return float(descend(*given)) if calls <= 2 else float("inf")  # one block, one thread: a call is a pass

    call(*arguments, "two", "--set", "epochs=2").expect(0)
    monkeypatch.setattr(glove_kernel, "descend", worse)
    ended = call(*arguments, "four")
    assert ended.code == 1
    assert "diverged: an entry's cost is inf in pass 3" in ended.out
    assert "last good weights" in ended.err
    two, four = (load_file(texts / name / "model.safetensors") for name in ("two", "four"))
    assert all((two[name] == four[name]).all() for name in two)


@pytest.mark.parametrize(("objective", "rate"), [("skipgram", "1"), ("glove", "1e20")])
def test_what_was_counted_outlives_a_rate_that_is_too_high(
    texts: Path, monkeypatch: pytest.MonkeyPatch, objective: str, rate: str
) -> None:
    from headstart.pretraining.artifacts import vectors as pretrained_vectors
    from headstart.pretraining.jobs import word2vec

    arguments = ("pretrain", objective, "texts.txt", *FEW, "--out", "vectors")
    with monkeypatch.context() as patch:
        patch.setattr(word2vec, "train", lambda ids, words, *_: np.full((len(words), 12), np.nan, np.float32))
        call(*arguments, "--set", f"learning_rate={rate}").refused("learning")
    assert not (texts / "vectors" / "config.json").exists()
    for work in ("counted", "count"):  # the words, and what stands together
        monkeypatch.setattr(pretrained_vectors, work, lambda *_: pytest.fail("was there already"))
    assert "starts again" not in call(*arguments).expect(0).err, "what diverged had another rate"


def test_an_interrupted_word2vec_starts_again_and_says_so(texts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from headstart.pretraining.jobs import word2vec

    arguments = ("pretrain", "skipgram", "texts.txt", *FEW[:-1], "--out", "vectors")

    def stopped(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(word2vec, "train", stopped)
        ended = call(*arguments)
    assert ended.code == 130
    assert "starts again" not in ended.err
    assert "the same command starts the training of the vectors again" in ended.err
    assert "starts again" in call(*arguments).expect(0).err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("missing.txt",), ("no file or folder missing.txt",)),
        (("few.txt",), ("no word that occurs 2 times", "minimum_count")),
        (("alone.txt",), ("no two words", "Give more text")),
        (("texts.txt", "--from", "bert"), ("glove can't go on from bert", "--from")),
        (("texts.txt", "--set", "dimension=0"), ("dimension is 0",)),
        (("texts.txt", "--set", "x_max=0"), ("x_max is 0",)),
        (("texts.txt", "--set", "memory=-1"), ("memory is -1",)),
        (("texts.txt", "--set", "negatives=5"), ("negatives",)),
        (("texts.txt", "--set", "unknown=none"), ("unknown",)),
        (("texts.txt", "--set", "learning_rate=1e20"), ("diverges", "learning_rate")),
    ],
)
def test_bad_input_for_training(texts: Path, arguments: tuple[str, ...], words: tuple[str, ...]) -> None:
    (texts / "few.txt").write_text("one line\n")
    (texts / "alone.txt").write_text("one\none\none\n")
    call("pretrain", "glove", *arguments, "--out", "vectors", *FEW[4:]).refused(*words)
    assert not (texts / "vectors" / "config.json").exists()


@pytest.mark.parametrize(("objective", "library"), [("skipgram", "gensim"), ("glove", "numba")])
def test_a_missing_library_is_named(texts: Path, monkeypatch: pytest.MonkeyPatch, objective: str, library: str) -> None:
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name == library else find(name, *more))
    refused = call("pretrain", objective, "texts.txt", "--out", "vectors", *FEW)
    refused.refused(f"{objective} needs {library}", "pip install 'headstart[vectors]'")
    assert not (texts / "vectors").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nowhere.txt", "nearest", "king"), ("there is no file nowhere.txt",)),
        (("bert", "nearest", "king"), ("bert holds no word vectors",)),
        (("reviews.csv", "nearest", "king"), ("reviews.csv, line 1",)),
        (("two.txt", "nearest", "quine"), ("'quine' has no vector", "Did you mean 'queen'")),
        (("two.txt", "analogy", "king", "queen"), ("Missing argument",)),
        (("two.txt", "benchmark", "nothing"), ("there is no file nothing",)),
        (("two.txt", "benchmark", "reviews.csv"), ("reviews.csv, line 1",)),
        (("two.txt", "convert", "--to", "pickle", "--out", "x"), ("pickle",)),
        (("two.txt", "sing"), ("sing",)),
    ],
)
def test_bad_input_for_asking(here: Path, arguments: tuple[str, ...], words: tuple[str, ...]) -> None:
    (here / "two.txt").write_text("king 1 2\nqueen 2 3\n")
    call("vectors", *arguments).refused(*words)


def test_repeated_rows_are_told(here: Path) -> None:
    (here / "two.txt").write_text("king 1 2\nqueen 2 3\nking 3 4\n")
    assert "1 rows ignored" in call("vectors", "two.txt", "nearest", "king").expect(0).err
