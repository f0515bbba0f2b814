"""Spans from files to answers, with tiny models: training, the run's records, answers and the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import headstart
from backbones.tiny import save, tiny
from cli.calling import call
from headstart.core.passage import Passage
from headstart.core.records.comparison import Comparison
from headstart.data.read import read
from headstart.engine.cache.cache import Cache, all_features
from headstart.engine.feed.feed import Feed
from headstart.engine.machine.precision import compute
from headstart.judging.checks.perturb import changed
from headstart.judging.system import base_system, solved
from headstart.stats.best_spans import best
from headstart.stats.predictions import Predictions
from headstart.tasks.task import Task
from tasks.squad import folder, questions, write

TASK, WITHOUT = Task("spans", "passage"), Task("spans", "passage", ("no answer",))


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save("bert", tmp_path_factory.mktemp("bert"))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder(tmp_path_factory.mktemp("spans") / "data")


@pytest.fixture(scope="module")
def run(data: Path, bert: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Comparison, Path]:
    place = tmp_path_factory.mktemp("spans") / "run"
    methods = [
        "full",
        "lora",
        "bitfit",
        "houlsby",
        "freeze",
        "probe",
        "random",
        "majority",
        "knn",
        "distill",
        "contrastive",
    ]
    found = headstart.compare(
        data, bert, out=place, methods=methods, seeds=1, trials=1, epochs=4,
        settings={"full.learning_rate": 5e-3, "lora.learning_rate": 5e-3, "freeze.share": 1.0},
    )  # fmt: skip
    return found, place


def test_methods_that_make_sense_run_and_the_others_say_why(run: tuple[Comparison, Path]) -> None:
    rows = {row.method: row for row in run[0].rows}
    for name in ("full", "lora", "freeze"):
        assert rows[name].status == "ok", (name, rows[name].status)
        assert rows[name].metric == "f1"
        assert [score.metric for score in rows[name].also] == ["exact_match"]
    assert rows["freeze"].trained_parameters == 2 * 32 + 2, "the head alone"
    for name in ("probe", "random", "majority", "knn", "distill", "contrastive"):
        assert rows[name].status.startswith("not applicable"), rows[name].status
    assert "freeze with share=1" in rows["probe"].status
    assert (rows["full"].value or 0.0) > 0.6, "the colour alone tells the answer"
    assert (run[0].task.kind, run[0].task.noun) == ("spans", "an answer from the passage")


@pytest.mark.slow
def test_every_other_method_that_trains_layers_or_adapters_runs(data: Path, bert: Path, tmp_path: Path) -> None:
    methods = [
        "bitfit",
        "houlsby",
        "unfreeze",
        "discriminative",
        "ia3",
        "prefix",
        "l2sp",
        "norms",
        "mix",
        "scratch",
    ]
    found = headstart.compare(data, bert, out=tmp_path / "run", methods=methods, seeds=1, trials=1, epochs=1)
    assert {row.method: row.status for row in found.rows} == dict.fromkeys(methods, "ok")


@pytest.mark.slow
@pytest.mark.parametrize("family", ["llama", "distilbert", "t5", "deberta_v2"])
def test_other_backbones_point_at_answers_too(data: Path, tmp_path: Path, family: str) -> None:
    """Without token types, with a stop token at the end, and decoders, which see the question before the passage."""
    found = headstart.compare(data, tiny(family), out=tmp_path, methods=["full", "freeze"], seeds=1, trials=1, epochs=2)
    assert {row.status for row in found.rows} == {"ok"}


def test_report_card_and_verdict_show_both_metrics(run: tuple[Comparison, Path]) -> None:
    page = (run[1] / "report.html").read_text()
    assert "F1" in page
    assert "exact match" in page.lower()
    card = (run[1] / "model" / "README.md").read_text()
    assert "question-answering" in card
    assert "an answer from the passage" in card


def test_answers_are_those_that_the_run_judged(run: tuple[Comparison, Path], data: Path, tmp_path: Path) -> None:
    test, best_of = read(data).test, next(iter(run[0].verdict.named))
    saved = Predictions.read(run[1] / "predictions" / f"{best_of}-seed0.safetensors")
    assert TASK.metric("f1").of(saved) == pytest.approx(run[0].row(best_of).value)
    lines = (run[1] / "predictions" / f"{best_of}-seed0.jsonl").read_text().splitlines()
    texts = {line["place"]: line["answer"] for line in map(json.loads, lines)}
    found = headstart.predict(run[1], [tuple(one) for one in test.inputs()])  # type: ignore[misc]
    for answer, row, given, place in zip(found, saved.scores, test.inputs(), test.places(np.arange(len(test)))):
        assert isinstance(given, Passage)
        assert answer.label == given.piece(int(row[4]), int(row[5])) == texts[place]
        assert answer.label in given.text
        assert answer.confidence == pytest.approx(float(row[3]), abs=1e-4)
        chances = list(answer.probabilities.values())
        assert chances == sorted(chances, reverse=True)
    out = tmp_path / "out.jsonl"
    done = call("predict", run[1], data / "test.json", "--out", out)
    assert done.code == 0, done.err
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert [line["prediction"] for line in lines] == [one.label for one in found]
    done = call("predict", run[1], "what ?\tthe red dog and cat")
    assert done.code == 0, done.err


def test_evaluate_compares_with_a_base_whose_head_is_solved(run: tuple[Comparison, Path]) -> None:
    done = call("evaluate", run[1])
    assert done.code in (0, 1, 3), done.err
    assert "f1" in (done.out + done.err).lower()


def test_a_tiny_model_learns_eight_long_passages_by_heart(tmp_path: Path) -> None:
    """Passages of three windows; begin and end of an answer may lie in two. States of windows are not kept."""
    place = tmp_path / "data"
    place.mkdir()
    for name in ("train", "validation", "test"):
        write(place / f"{name}.json", questions(8, 0, length=30))
    backbone = tiny("bert", max_length=24)
    assert Feed("train", read(place).train, backbone).windowed
    found = headstart.compare(
        place, backbone, out=tmp_path / "full", methods=["full"], seeds=1, trials=1, epochs=40,
        settings={"full.learning_rate": 5e-3}, metric="exact_match",
    )  # fmt: skip
    assert found.row("full").value == 1.0
    found = headstart.compare(place, backbone, out=tmp_path / "run", methods=["freeze"], seeds=1, trials=1, epochs=1)
    assert found.row("freeze").status == "ok"
    assert any("several windows" in note for note in found.row("freeze").notes)
    assert any("24 rows longer than 24 tokens: read in several" in one.message for one in found.data.findings)


def test_perturbed_questions_keep_their_passage() -> None:
    given = Passage("who was the good king", "Ada Lovelace wrote the notes.")
    found = changed(given, "typos", 3)
    assert isinstance(found, Passage)
    assert found.text == given.text
    assert found.question != given.question


def test_questions_without_an_answer(tmp_path: Path, bert: Path) -> None:
    place = folder(tmp_path / "data", unanswerable=0.4)
    found = headstart.compare(
        place, bert, out=tmp_path / "run", methods=["full"], seeds=1, trials=1, epochs=10,
        settings={"full.learning_rate": 5e-3},
    )  # fmt: skip
    row = found.row("full")
    also = {one.metric: one.value for one in row.also}
    assert list(also) == ["exact_match", "answerable_f1", "answerable_exact_match", "unanswerable_accuracy"]
    assert also["unanswerable_accuracy"] > 0.6, "a passage without a colour has no answer"
    answers = headstart.predict(tmp_path / "run", str(place / "test.json"))
    assert {one.label == "" for one in answers} == {True, False}
    assert all(one.probabilities[one.label] == one.confidence for one in answers)


def test_the_best_answers() -> None:
    """By the product of both chances, ends not before begins, not longer than the longest."""
    row = np.zeros((400, 2), dtype=np.float32)
    row[5], row[3, 1], row[9, 1], row[350, 1] = (0.6, 0.2), 0.5, 0.2, 0.3
    row[2, 0], row[0] = 0.3, (0.1, 0.3)
    found = best(row, without=True, most=9)
    assert [one[:2] for one in found] == [(2, 3), (5, 5), (5, 9), (2, 5), (2, 9), (0, 0)]
    assert [round(one[2], 3) for one in found] == [0.15, 0.12, 0.12, 0.06, 0.06, 0.03]
    assert best(row, without=False)[0][:2] == (2, 3)


def test_loss_is_cross_entropy_of_begin_and_end_over_all_signs() -> None:
    scores = torch.randn(3, 6, 2)
    scores[:, 2] = -torch.inf
    targets = torch.tensor([[1, 4], [0, 0], [-1, -1]])
    each = -scores.log_softmax(1)
    assert float(WITHOUT.loss(scores, targets)) == pytest.approx(
        float(each[0, 1, 0] + each[0, 4, 1] + each[1, 0].sum()), rel=1e-5
    )
    bare = -scores[:, 1:].log_softmax(1)
    assert float(TASK.loss(scores, targets[:1].expand(3, 2))) == pytest.approx(
        float(bare[:, 0, 0].sum() + bare[:, 3, 1].sum()), rel=1e-5
    )
    assert TASK.count(targets) == 4
    wide = torch.full((1, 4, 2), -torch.inf, requires_grad=True)
    TASK.loss(wide + torch.tensor([[[0.0], [-torch.inf], [-torch.inf], [-torch.inf]]]), targets[2:]).backward()
    assert torch.isfinite(
        TASK.probabilities(torch.full((1, 4, 2), -torch.inf).index_fill(1, torch.tensor(0), 0.0))
    ).all()


def test_a_head_solved_on_rows_has_the_loss_of_whole_passages(data: Path) -> None:
    """The base of `evaluate`: rows of places give the same sum of losses, and the solution is a minimum of it."""
    found, where, backbone = read(data), compute("cpu", "fp32"), tiny("bert")
    feed, cache = Feed("train", found.train, backbone), Cache(backbone, where)
    features, targets = all_features(cache, feed, 4096), feed.row_targets
    cache.close()
    task = WITHOUT
    head = solved(features, targets, task)
    with torch.no_grad():
        rows = task.loss(head(features).double(), targets)
        batch = feed.batch(np.arange(len(feed)))
        from headstart.methods.plan import Model

        whole = task.loss(Model(backbone.module, head)(batch, backbone.features).scores, feed.targets)
        blind = nn.Linear(32, 2)
        nn.init.zeros_(blind.weight)
        assert float(rows) < float(task.loss(blind(features).double(), targets))
    assert float(rows) == pytest.approx(float(whole), rel=1e-3)


def test_the_base_of_an_evaluation_answers(data: Path) -> None:
    found, where = read(data), compute("cpu", "fp32")
    system = base_system(tiny("bert"), where, found.train, found.task, found.validation)
    judged = found.task.predictions(found.test, system.scores(found.test.inputs()))
    assert judged.finite
    assert judged.scores.shape == (24, 8)
