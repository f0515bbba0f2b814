"""Generation from conversations to answers, with a tiny model: what every part gives must agree with the others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import headstart
from headstart.artifacts.predictor import Predictor
from headstart.backbones.backbone import Backbone
from headstart.backbones.inputs.answer_marks import ANSWER_IDS
from headstart.backbones.vocabulary import VocabularyHead
from headstart.core.chat import Chat
from headstart.core.errors import ConfigurationError, DataError, MethodError, ModelError
from headstart.core.records.comparison import Comparison
from headstart.engine.adapt import Setting, attached, economical
from headstart.engine.cache.cache import Cache
from headstart.engine.feed.feed import Feed
from headstart.engine.generating import Generating
from headstart.engine.job import Options
from headstart.engine.machine.memory import Room
from headstart.engine.machine.precision import compute
from headstart.engine.runtime import Runtime
from headstart.methods.adapters.lora import Lora
from headstart.methods.layers.freeze import Freeze
from headstart.methods.layers.full import Full
from headstart.methods.method import METHODS, head_for
from headstart.stats.predictions import Predictions
from headstart.tasks.task import Task
from tasks.asking import PAIRS, data_of, model, pairs

QUESTIONS = [question for question, _ in PAIRS]
ANSWERS = [answer for _, answer in PAIRS]
CHATS = [Chat.asked(question, answer) for question, answer in PAIRS]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its pad token is its end token, which is also how an answer stops."""
    return model(tmp_path_factory.mktemp("llama"))


@pytest.fixture(scope="module")
def base(folder: Path) -> Backbone:
    return headstart.load(folder, vocabulary=True, max_length=96)


@pytest.fixture(scope="module")
def run(base: Backbone, tmp_path_factory: pytest.TempPathFactory) -> tuple[Comparison, Path]:
    place = tmp_path_factory.mktemp("generation") / "run"
    found = headstart.compare(
        data_of(CHATS, CHATS[:3], CHATS), base, out=place, methods=["zeroshot", "full", "lora"], seeds=1, trials=1,
        epochs=50, batch_size=4, patience=50, keep=True,
        settings={"full.learning_rate": 7e-3, "lora.learning_rate": 1e-2, "lora.rank": 16},
    )  # fmt: skip
    return found, place


def setting(backbone: Backbone, data: Any = None, precision: str = "fp32", **options: Any) -> Setting:
    data, computing = data or pairs(), compute("cpu", precision)
    feeds = [Feed(name, getattr(data, name), backbone) for name in ("train", "validation")]
    return Setting(
        backbone, data.task, *feeds, Options(epochs=1, **options), computing, lambda scores, targets: (0.0, 0.0),
        Cache(backbone, computing),
    )  # fmt: skip


def test_tuned_models_learn_the_answers_and_where_to_stop(run: tuple[Comparison, Path]) -> None:
    rows = {row.method: row for row in run[0].rows}
    (untrained,) = (score.value for score in rows["zeroshot"].also if score.metric == "bits_per_byte")
    for name in ("full", "lora"):
        assert rows[name].status == "ok", rows[name].status
        assert rows[name].value == 1.0, (name, rows[name])
        also = {score.metric: score.value for score in rows[name].also}
        assert also["stopped"] == also["f1"] == also["tolerant_match"] == 1.0
        # a frozen random head has low scores, so that even certain answers are improbable
        assert also["bits_per_byte"] < (1 if name == "full" else untrained)
    assert rows["zeroshot"].value == 0
    assert rows["zeroshot"].trained_parameters == 0
    assert rows["zeroshot"].seeds[0].curve == ()


def test_answers_are_kept_as_texts(run: tuple[Comparison, Path]) -> None:
    saved = Predictions.read(run[1] / "predictions" / "lora-seed0.safetensors")
    assert list(saved.texts or ()) == ANSWERS
    assert saved.take(np.array([2, 0])).texts == ("1993", "blue")
    for part, count in (("", len(ANSWERS)), ("validation", 3)):
        lines = (run[1] / "predictions" / part / "lora-seed0.jsonl").read_text().splitlines()
        found = [json.loads(line) for line in lines]
        assert [one["answer"] for one in found] == [one["reference"] for one in found] == ANSWERS[:count]
        assert found[0]["prompt"] == [{"content": "red?", "role": "user"}]
        assert found[0]["exact"] == found[0]["stopped"] == 1.0
    (wrong, *_) = [json.loads(line) for line in (run[1] / "predictions" / "zeroshot-seed0.jsonl").open()]
    assert wrong["exact"] == 0


def test_report_card_and_verdict(run: tuple[Comparison, Path]) -> None:
    page = (run[1] / "report.html").read_text()
    assert "Exact match" in page
    assert "an answer in words" in (run[1] / "model" / "README.md").read_text()
    assert "exact match" in " ".join(run[0].verdict.said)
    assert (run[0].task.kind, run[0].task.metric) == ("generation", "exact_match")


def test_bf16_predicts_with_rounded_weights(run: tuple[Comparison, Path], base: Backbone) -> None:
    predictor = Predictor(run[1] / "models" / "full" / "seed0", backbone=base, precision="bf16")
    try:
        assert [one.label for one in predictor(QUESTIONS)] == ANSWERS
    finally:
        predictor.close()


def test_saved_models_answer_as_the_trained_ones(run: tuple[Comparison, Path], base: Backbone) -> None:
    for name in ("full", "lora"):
        predictor = Predictor(run[1] / "models" / name / "seed0", backbone=base)
        try:
            assert [one.label for one in predictor(QUESTIONS)] == ANSWERS
            assert [one.label for one in predictor([Chat.asked("cat?", "ignored")])] == ["dog"]
            with pytest.raises(DataError, match="tokens"):
                predictor(["long " * 200])
        finally:
            predictor.close()
    assert base.intact


def gradients(backbone: Backbone, batch_tokens: int, parts: int = 1) -> tuple[float, list[torch.Tensor], int]:
    """Loss and gradients of one step of all examples, cut by tokens, and the number of parts."""
    made = setting(backbone, batch_size=8, batch_tokens=batch_tokens)
    with attached(made, Full(), 0) as job:
        (micros,) = job.steps(0, 0)
        job.enter(0.0)
        room = Room(parts)
        loss = Runtime(job.compute).backward(job, micros, 0.0, 0, room)
        found = [p.grad.clone() for p in job.module.parameters() if p.grad is not None]
    made.cache.close()
    return float(loss), found, len(micros)


def test_a_step_in_parts_is_the_step_in_one(base: Backbone) -> None:
    """Answers of several lengths: a mean over parts would weigh their tokens differently."""
    whole = gradients(base, 8192)
    for batch_tokens, parts, count in ((60, 1, 3), (1, 1, 8), (8192, 3, 1)):
        loss, found, micros = gradients(base, batch_tokens, parts)
        assert micros >= count
        assert loss == pytest.approx(whole[0], rel=1e-5)
        for mine, all_at_once in zip(found, whole[1]):
            torch.testing.assert_close(mine, all_at_once, rtol=1e-3, atol=1e-6)


def test_the_loss_is_the_library_s_on_the_answers_alone(folder: Path, base: Backbone) -> None:
    from transformers import AutoModelForCausalLM

    preparation: Any = base.preparation
    library = AutoModelForCausalLM.from_pretrained(folder)
    total, tokens = 0.0, 0
    for one in preparation.encode(CHATS):
        ids, marks = torch.from_numpy(one["input_ids"]).long()[None], torch.from_numpy(one["answers"])[None]
        assert ids[0, -1] == preparation.tokenizer.eos_token_id or marks[0, -1] == 0
        labels = ids.masked_fill(~marks, -100)
        count = int(marks.sum())
        with torch.no_grad():
            total += float(library(ids, labels=labels).loss) * count
        tokens += count
    assert gradients(base, 8192)[0] == pytest.approx(total / tokens, rel=1e-4)


@pytest.mark.parametrize("method", [Full(), Lora()])
def test_bf16_gives_the_same_loss_within_its_rounding(base: Backbone, method: Any) -> None:
    """A frozen head is rounded in a training, and one that trains is not."""
    found = []
    for precision in ("fp32", "bf16"):
        made = setting(base, precision=precision, batch_size=8)
        with attached(made, method, 0) as job, economical(job):
            (micros,) = job.steps(0, 0)
            job.enter(0.0)
            found.append(float(Runtime(job.compute).backward(job, micros, 0.0, 0, Room())))
            assert isinstance(job, Generating)
            assert job.head.dtype == job.compute.dtype
            columns, texts = job.judged(job.validation)  # while frozen weights are rounded
            assert np.isfinite(columns.numpy()).all()
            assert len(texts or ()) == len(PAIRS)
        made.cache.close()
    assert found[1] == pytest.approx(found[0], rel=0.01)


def test_the_stop_token_is_learned_though_it_pads(base: Backbone) -> None:
    preparation: Any = base.preparation
    end = preparation.tokenizer.eos_token_id
    assert preparation.pad_id == end
    batch = preparation.collate(preparation.encode(CHATS))
    assert int((batch[ANSWER_IDS] == end).sum()) == len(PAIRS)


def test_frozen_rungs_come_from_the_cache(base: Backbone) -> None:
    found = []
    for cache in (True, False):
        made = setting(base, batch_size=8, cache=cache)
        with attached(made, Freeze(), 0) as job:
            (micros,) = job.steps(0, 0)
            job.enter(0.0)
            found.append(float(Runtime(job.compute).backward(job, micros, 0.0, 0, Room())))
        assert made.cache.notes == []
        assert bool(made.cache._stores) == cache
        made.cache.close()
    assert found[0] == pytest.approx(found[1], rel=1e-5)


REFUSED = {
    "probe", "centroid", "knn", "mahalanobis", "mix", "lpft", "random", "majority", "scratch", "contrastive",
    "distill", "vpt", "conv_adapter",
}  # fmt: skip


@pytest.mark.parametrize("name", METHODS.names())
def test_what_solves_a_new_head_is_refused_with_the_reason(name: str, base: Backbone) -> None:
    task, method = Task("generation", "chat"), METHODS[name]()
    head = head_for(method, base, task, bias=True)
    assert isinstance(head, VocabularyHead)
    if name in REFUSED or name == "bitfit":  # Llama has no biases
        with pytest.raises(MethodError) as refused:
            method.attach(base, head).check(task)
        assert len(str(refused.value)) > 40
        return
    plan = method.attach(base, head)
    plan.check(task)
    assert plan.trained() or plan.solver
    assert not any(parameter.startswith("head.") for parameter in plan.trained())


FEW = ("freeze", "prefix", "prompt", "soup")


@pytest.mark.parametrize("few", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_other_methods_run(base: Backbone, tmp_path: Path, few: bool) -> None:
    """One step of each; a comparison checks that the saved model is the trained one."""
    known = {*REFUSED, "bitfit", "zeroshot", "full", "lora"}
    names = FEW if few else [name for name in METHODS.names() if name not in {*known, *FEW, "soup"}]
    found = headstart.compare(
        pairs(3), base, out=tmp_path / "run", methods=["full", *names], seeds=1, trials=1, epochs=1, batch_size=3,
        settings={} if few else {"wiseft.shares": (0.5, 1.0)},
    )  # fmt: skip
    assert {row.method: row.status for row in found.rows} == dict.fromkeys(["full", *names], "ok")


def test_tied_weights_with_biases_train_too(tmp_path: Path) -> None:
    backbone = headstart.load(model(tmp_path / "gpt2", "gpt2"), vocabulary=True, max_length=96)
    found = headstart.compare(
        pairs(3), backbone, out=tmp_path / "run", methods=["bitfit"], seeds=1, trials=1, epochs=1,
    )  # fmt: skip
    assert [row.status for row in found.rows] == ["ok"]


def test_several_turns_train_all_answers_and_are_judged_by_the_last(base: Backbone) -> None:
    turns = [
        {"role": "user", "content": "red?"}, {"role": "assistant", "content": "blue"},
        {"role": "user", "content": "cat?"}, {"role": "assistant", "content": "dog"},
    ]  # fmt: skip
    made = setting(base, data_of([Chat.of(turns)]))
    with attached(made, Full(), 0) as job:
        assert isinstance(job, Generating)
        table, texts = job.judged(job.validation)
    made.cache.close()
    assert made.train.units[0] == len("blue") + len("dog") + 2 or made.train.units[0] >= 4
    assert texts is not None
    assert len(texts) == 1
    assert table.shape[0] == 1


def test_running_text_makes_answers_no_longer(base: Backbone) -> None:
    """Documents are learned beside questions; what they are long says nothing of answers."""
    limits = []
    for more in ([], [Chat.running("word " * 12)]):
        made = setting(base, data_of([*CHATS, *more], CHATS[:1]))
        with attached(made, Full(), 0) as job:
            limits.append(job.answer_tokens)
        assert made.train.longest_answer < made.train.units.max() or not more
        made.cache.close()
    assert limits[0] == limits[1]


def test_usual_methods_need_no_naming(base: Backbone, tmp_path: Path) -> None:
    """Those of a task stand in the place of the usual ones; a setting has to be one of theirs."""
    found = headstart.compare(
        pairs(2), base, out=tmp_path / "run", seeds=1, trials=1, epochs=1, budget="5s", settings={"lora.rank": 2}
    )
    assert {row.method for row in found.rows} == {"zeroshot", "fewshot", "lora", "full"}


def test_models_that_generate_nothing_are_refused(tmp_path: Path, folder: Path) -> None:
    from backbones.tiny import save

    with pytest.raises(ModelError, match="no causal language model"):
        headstart.compare(pairs(), save("bert", tmp_path / "bert"), out=tmp_path / "a")
    with pytest.raises(ModelError, match="vocabulary=True"):
        headstart.compare(pairs(), headstart.load(folder), out=tmp_path / "b")
    with pytest.raises(ConfigurationError, match="--model"):
        headstart.compare(pairs(), out=tmp_path / "c")
    with pytest.raises(MethodError, match="own head"):
        headstart.compare(pairs(), headstart.load(folder, vocabulary=True), methods=["probe"], out=tmp_path / "d")
    assert not list(tmp_path.glob("[abcd]"))
