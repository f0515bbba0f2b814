"""Generation from the command line: a file of questions and answers, a model, and the answers to new questions."""

from __future__ import annotations

import contextlib
import csv
import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import headstart
from cli.calling import Call, call
from headstart.artifacts.dialogue import Manner, check_talks, with_tuned
from headstart.artifacts.predictor import Predictor
from headstart.core.errors import ConfigurationError, DataError
from headstart.tasks.task import Task
from tasks.asking import PAIRS, model

FEW = PAIRS[:5]

QUESTIONS = [question for question, _ in FEW]
ANSWERS = [answer for _, answer in FEW]


def written(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    rows = [
        {"question": question, "answer": answer, "fact": str(number), "split": split}
        for split in ("train", "validation", "test")
        for number, (question, answer) in enumerate(FEW[: 2 if split == "validation" else None])
    ]
    done = call(
        "fit", written(folder / "faq.jsonl", rows), "--model", model(folder / "model"), "--method", "full",
        "--kind", "generation", "--trials", 1, "--epochs", 50, "--batch-size", 4, "--set", "learning_rate=7e-3",
        "--cluster-by", "fact",
        "--max-length", 96, "--out", folder / "run",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert "exact match" in done.out.lower()
    return folder / "run"


def test_rows_keep_their_columns_and_get_answers(run: Path, tmp_path: Path) -> None:
    asked = written(
        tmp_path / "questions.jsonl",
        [{"n": at, "question": question, "answer": "old"} for at, question in enumerate(QUESTIONS)],
    )
    done = call("predict", run, asked, "-o", tmp_path / "out.jsonl")
    assert done.code == 0, done.err
    found = [json.loads(line) for line in (tmp_path / "out.jsonl").open()]
    assert [row["prediction"] for row in found] == ANSWERS
    assert [row["n"] for row in found] == list(range(len(QUESTIONS)))
    assert list(found[0]) == ["n", "question", "answer", "prediction", "error"]


def test_bad_rows_keep_their_place_with_an_error(run: Path, tmp_path: Path) -> None:
    rows = [{"question": "red?"}, {"question": ""}, {"question": "long " * 300}, {"question": "cat?"}]
    done = call("predict", run, written(tmp_path / "q.jsonl", rows), "-o", tmp_path / "out.csv")
    assert done.code == 4
    found = list(csv.DictReader((tmp_path / "out.csv").open()))
    assert [row["prediction"] for row in found] == ["blue", "", "", "dog"]
    assert "empty question" in found[1]["error"]
    assert "tokens" in found[2]["error"]


def test_messages_texts_and_python(run: Path, tmp_path: Path) -> None:
    chats = [{"messages": [{"role": "user", "content": question}]} for question in QUESTIONS[:2]]
    done = call("predict", run, written(tmp_path / "chats.jsonl", chats), "--json")
    assert done.code == 0, done.err
    assert [json.loads(line)["prediction"] for line in done.out.splitlines()] == ANSWERS[:2]
    done = call("predict", run, "cat?", "--json")
    assert json.loads(done.out) == {"input": "cat?", "prediction": "dog", "error": None}
    assert [one.label for one in headstart.predict(run, ["red?", "cat?"])] == ["blue", "dog"]
    assert [one.label for one in headstart.predict(run, "red?")] == ["blue"]


def test_what_makes_no_sense_is_told(run: Path, tmp_path: Path) -> None:
    for option in (["--probabilities"], ["--below", "0.5"]):
        done = call("predict", run, "cat?", *option)
        assert done.code == 2
        assert "answers in words, which have no probability" in done.err
    done = call("predict", run, written(tmp_path / "other.jsonl", [{"x": 1, "y": 2}]))
    assert done.code == 2
    assert "no column looks like questions" in done.err
    done = call("evaluate", run)
    assert done.code == 2
    assert "an answer in words, which evaluate does not judge" in done.err


def talk(monkeypatch: pytest.MonkeyPatch, run: Path, lines: str, *options: object) -> Call:
    monkeypatch.setattr("sys.stdin", io.StringIO(lines))
    return call("chat", run, *options)


def test_chat_answers_as_predict(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = talk(monkeypatch, run, "".join(f"{question}\n\n/new\n" for question in QUESTIONS))
    assert done.code == 0, done.err
    assert done.out.splitlines() == ANSWERS


def test_chat_shows_the_base_beside_the_tuned_model(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = talk(monkeypatch, run, "red?\n", "--against", "base")
    base, tuned = done.out.rstrip("\n").split("full: ")
    assert base.startswith("base: ")
    assert tuned == "blue" != base.removeprefix("base: ").strip()


def test_what_was_said_is_part_of_the_next_question(run: Path) -> None:
    with contextlib.closing(Predictor(run)) as predictor:
        dialogue = with_tuned(predictor, Manner(system="Be kind."))
        assert "".join(dialogue.answer("red?")) == "blue"
        assert [turn["content"] for turn in dialogue.messages] == ["Be kind.", "red?", "blue"]
        answer = dialogue.answer("cat?")
        first = next(answer)
        answer.close()  # as Ctrl-C does
        assert dialogue.messages[-2:] == [
            {"role": "user", "content": "cat?"},
            {"role": "assistant", "content": first},
        ]
        before = list(dialogue.messages)
        with pytest.raises(DataError, match="tokens"):
            list(dialogue.answer("long " * 300))
        assert dialogue.messages == before
        dialogue.clear()
        assert [turn["content"] for turn in dialogue.messages] == ["Be kind."]


def test_a_conversation_that_is_too_long_does_not_end_the_talk(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = talk(monkeypatch, run, "long " * 300 + "\nred?\n")
    assert done.code == 0
    assert done.out == "blue\n"
    assert "/new begins a new conversation" in done.err


def test_a_model_of_classes_does_not_talk(tmp_path: Path) -> None:
    artifact = SimpleNamespace(task=Task("single_label", "text", ("a", "b")))
    with pytest.raises(ConfigurationError, match="gives one label to each input"):
        check_talks(artifact, "runs/film")  # type: ignore[arg-type]
