"""Tagging from files to answers, with a tiny model: what every part gives must agree with the others."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

import headstart
from backbones.tiny import WORDS, save, tiny
from cli.calling import call
from headstart.core.errors import MethodError
from headstart.core.records.comparison import Comparison
from headstart.core.words import Words
from headstart.data.read import read
from headstart.engine.adapt import Setting, attached
from headstart.engine.cache.cache import Cache, all_features
from headstart.engine.feed.feed import Feed
from headstart.engine.job import Options
from headstart.engine.machine.precision import compute
from headstart.judging.system import base_system
from headstart.methods import convex
from headstart.methods.layers.full import Full
from headstart.methods.term import Outputs, Step, TaskTerm, Term
from headstart.stats.predictions import Predictions
from headstart.tasks.task import Task

BIO = ("O", "B-P", "I-P")
PLACES = ("red", "green", "blue")


def corpus(folder: Path, seed: int = 0) -> Path:
    """Sentences in which colours are places, with `world` as their second word: the words alone tell the tags."""
    random = np.random.default_rng(seed)
    folder.mkdir(exist_ok=True)
    plain = [word for word in WORDS if word not in (*PLACES, "world")]
    for name, count in (("train", 60), ("validation", 20), ("test", 24)):
        lines = []
        for _ in range(count):
            words = list(map(str, random.choice(plain, random.integers(3, 9))))
            tags = ["O"] * len(words)
            if random.random() < 0.8:
                at, more = int(random.integers(len(words))), int(random.integers(2))
                words[at:at] = [str(random.choice(PLACES)), "world"][: 1 + more]
                tags[at:at] = ["B-P", "I-P"][: 1 + more]
            lines += [f"{word}\t{tag}" for word, tag in zip(words, tags)] + [""]
        (folder / f"{name}.conll").write_text("\n".join(lines))
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return corpus(tmp_path_factory.mktemp("tagging") / "data")


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save("bert", tmp_path_factory.mktemp("bert"))


@pytest.fixture(scope="module")
def run(data: Path, bert: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Comparison, Path]:
    place = tmp_path_factory.mktemp("tagging") / "run"
    methods = ["probe", "full", "lora", "mix", "random", "majority", "knn", "distill", "contrastive"]
    found = headstart.compare(data, bert, out=place, methods=methods, seeds=1, trials=1, epochs=6,
                              settings={"full.learning_rate": 5e-3, "lora.learning_rate": 5e-3})  # fmt: skip
    return found, place


def test_methods_that_make_sense_run_and_the_others_say_why(run: tuple[Comparison, Path]) -> None:
    rows = {row.method: row for row in run[0].rows}
    for name in ("probe", "full", "lora", "mix", "random", "majority"):
        assert rows[name].status == "ok", (name, rows[name].status)
        assert rows[name].metric == "entity_f1"
        assert [score.metric for score in rows[name].also] == ["accuracy"]
    for name in ("knn", "distill", "contrastive"):
        assert rows[name].status.startswith("not applicable"), rows[name].status
    assert rows["majority"].value == 0
    assert max(row.value or 0.0 for row in rows.values()) > 0.5, "the words alone tell the tags"
    assert [row.label for row in rows["full"].classes] == ["P"]
    assert (run[0].task.kind, run[0].task.noun) == ("tagging", "a tag for each word")


def test_the_record_s_value_is_that_of_its_predictions(run: tuple[Comparison, Path], data: Path) -> None:
    saved = Predictions.read(run[1] / "predictions" / "full-seed0.safetensors")
    task = read(data).task
    assert saved.kind == "tagging"
    assert task.metric("entity_f1").of(saved) == pytest.approx(run[0].row("full").value)


def test_report_card_and_verdict_show_entity_f1(run: tuple[Comparison, Path]) -> None:
    assert "Entity F1" in (run[1] / "report.html").read_text()
    card = (run[1] / "model" / "README.md").read_text()
    assert "token-classification" in card
    assert "a tag for each word" in card
    assert "entity F1" in " ".join(run[0].verdict.said)


def test_answers_of_a_saved_model(run: tuple[Comparison, Path], data: Path, tmp_path: Path) -> None:
    """Rows of a file, lists and running text give the same tags as the predictions of the run."""
    task, test = read(data).task, read(data).test
    best = next(iter(run[0].verdict.named))
    saved = Predictions.read(run[1] / "predictions" / f"{best}-seed0.safetensors")
    words = [one.each for one in test.inputs()]  # type: ignore[union-attr]
    found = headstart.predict(run[1], words)
    for answer, row, each in zip(found, saved.scores, words):
        assert len(answer.tags) == len(each)
        assert list(answer.tags) == [task.labels[tag] for tag in row[: len(each)].argmax(1)]
    (text,) = headstart.predict(run[1], "The red, very good day")
    assert len(text.tags) == 6, "the comma is a word of its own"

    out = tmp_path / "out.jsonl"
    done = call("predict", run[1], data / "test.conll", "--out", out)
    assert done.code == 0, done.err
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert [line["prediction"] for line in lines] == [list(answer.tags) for answer in found]
    assert all(0 < line["confidence"] <= 1 for line in lines)
    refused = call("predict", run[1], "the red day", "--probabilities")
    assert refused.code == 2


def test_evaluate_asks_base_and_tuned(data: Path, bert: Path, tmp_path: Path) -> None:
    headstart.fit(data, bert, method="lora", out=tmp_path / "run", trials=1, epochs=1)
    done = call("evaluate", tmp_path / "run")
    assert done.code in (0, 1, 3), done.err
    assert "Entity F1" in done.out
    assert "robustness to typos" in done.out
    (short := tmp_path / "short.conll").write_text("red B-P\nworld I-P\n\ngood O\n")
    done = call("evaluate", tmp_path / "run", "--test", short)
    assert done.code == 0, done.err
    assert "short" in done.out
    done = call("improve", tmp_path / "run", "--propose")
    assert done.code == 0, done.err


def test_retention_of_tags_asks_a_probe_for_each_word(data: Path) -> None:
    found, where = read(data), compute("cpu", "fp32")
    base = base_system(tiny("bert"), where, found.train, found.task)
    inputs = [*found.train.inputs(), *found.test.inputs()]  # several batches, padded to lengths of their own
    scores = base.probed(found.train, inputs, found.task)
    assert scores.shape == (len(inputs), max(len(one.each) for one in inputs), 3)  # type: ignore[union-attr]


def test_longer_sentences_than_the_model_reads(data: Path) -> None:
    """Words that are cut off have no target in training, no tag in answers, and are counted."""
    backbone = tiny("bert", max_length=6)
    feed = Feed("train", read(data).train, backbone)
    unseen = sum(int((one["word_starts"] < 0).sum()) for one in (feed._encoded[i] for i in range(len(feed))))
    words = sum(len(one.each) for one in feed.examples.inputs())  # type: ignore[union-attr]
    assert 0 < unseen < words
    assert int(feed.units.sum()) == words - unseen
    assert len(feed.row_targets) == words
    assert int((feed.row_targets >= 0).sum()) == words - unseen


def test_the_loss_of_a_step_is_a_mean_over_its_words(data: Path) -> None:
    feed = Feed("train", read(data).train, tiny("bert"))
    (micros,) = list(feed.micros([[np.arange(3), np.arange(3, 5)]]))
    assert micros[0].step == int(feed.units[:5].sum())
    task = Task("tagging", "text_words", BIO)
    scores, targets = torch.randn(2, 3, 3), torch.tensor([[0, 1, -1, -1], [2, -1, -1, -1]], dtype=torch.int16)
    each = -scores.log_softmax(-1)
    assert float(task.loss(scores, targets)) == pytest.approx(float(each[0, 0, 0] + each[0, 1, 1] + each[1, 0, 2]))


@dataclasses.dataclass(frozen=True)
class Idle(Term):
    """A loss of the head alone."""

    name: ClassVar[str] = "idle"

    def loss(self, seen: Mapping[str, Outputs], at: Step) -> torch.Tensor:
        return at.module.head.weight.square().sum()


def test_a_term_that_says_nothing_to_the_backbone_is_seen_at_the_first_step(data: Path) -> None:
    """A step's size is in words: counted in examples, its end would never come."""
    found, where, backbone = read(data), compute("cpu", "fp32"), tiny("bert")
    feeds = [Feed(name, getattr(found, name), backbone) for name in ("train", "validation")]
    cache = Cache(backbone, where)
    setting = Setting(backbone, found.task, *feeds, Options(epochs=1), where, lambda *_: (0.0, 0.0), cache)

    @dataclasses.dataclass(frozen=True)
    class WithIdle(Full):
        def attach(self, backbone: Any, head: Any) -> Any:
            return dataclasses.replace(super().attach(backbone, head), terms=(TaskTerm(), Idle()))

    with attached(setting, WithIdle(learning_rate=1e-3), 0) as job:
        job.enter(0.0)
        (micro,) = next(iter(job.steps(0, 0)))
        assert micro.step > len(micro.positions)
        with pytest.raises(MethodError, match="'idle' changes nothing"):
            job.losses(micro, 0.0)
    cache.close()


def test_a_probe_is_solved_on_words_cached_or_not(data: Path) -> None:
    backbone, where = tiny("bert", max_length=8), compute("cpu", "fp32")
    task, feed = read(data).task, Feed("train", read(data).train, tiny("bert", max_length=8))
    cache, off = Cache(backbone, where), Cache(backbone, where, limit_bytes=0)
    try:
        kept, plain = (all_features(one, feed, 8192, "all") for one in (cache, off))
    finally:
        cache.close()
        off.close()
    assert kept.shape == (int(feed.rows.sum()), backbone.width("all"))
    torch.testing.assert_close(kept, plain, rtol=1e-4, atol=1e-5)
    head = torch.nn.Linear(kept.shape[1], task.outputs)
    convex.solve(kept, feed.row_targets, task, 1.0, head)
    seen = feed.row_targets >= 0
    right = head(kept[seen]).argmax(1) == feed.row_targets[seen]
    assert float(right.double().mean()) > 0.9


def test_an_answer_has_a_tag_for_words_that_were_not_seen() -> None:
    task = Task("tagging", "text_words", BIO)
    row = np.array([[0.1, 0.9, 0], [0, 0, 0], [0.3, 0.3, 0.4]])
    found = task.prediction(row, Words.of(["a", "b"]))
    assert (found.tags, found.label, found.confidence) == (("B-P", "O"), "B-P O", 0.9)
    assert "B-P O" in repr(found)
    told: Any = task.probabilities(torch.tensor([[-torch.inf] * 3, [0.0] * 3]))
    assert told.sum(-1).tolist() == pytest.approx([0, 1])
