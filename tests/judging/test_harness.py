"""Tasks of lm-evaluation-harness: its answers are those worked out here, and what can't be run is told."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import headstart
from backbones.tiny import bytelevel
from cli.calling import reviews
from headstart.backbones.networks.language import new, with_head
from headstart.core.errors import ConfigurationError

pytest.importorskip("lm_eval", reason="lm-evaluation-harness is not installed")
CHOICES = ["red", "blue", "green"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    tmp_path = tmp_path_factory.mktemp("harness")
    with contextlib.chdir(tmp_path):
        yield _made(tmp_path)


def _made(tmp_path: Path) -> Path:
    tokenizer = bytelevel()
    new("causal", "tiny", tokenizer, 64, 0.0, False, 0).save(tmp_path / "lm", tokenizer, False)
    reviews(tmp_path / "reviews.csv")
    headstart.fit("reviews.csv", "lm", out="run", method="full", epochs=1, trials=1, precision="fp32")
    rows = [{"question": f"the {w} is", "choices": CHOICES, "answer": i % 3} for i, w in enumerate("abcdefgh")]
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "q.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "tasks" / "colours.yaml").write_text(
        "task: headstart_colours\ndataset_path: json\ndataset_kwargs:\n  data_files:\n"
        f"    test: {tmp_path}/tasks/q.jsonl\ntest_split: test\noutput_type: multiple_choice\n"
        "doc_to_text: '{{question}}'\ndoc_to_target: answer\ndoc_to_choice: choices\n"
        "metric_list:\n  - metric: acc\n    aggregation: mean\n    higher_is_better: true\n"
    )
    whole = (tmp_path / "tasks" / "colours.yaml").read_text()
    gone = whole.replace("headstart_colours", "headstart_gone").replace("q.jsonl", "none.jsonl")
    (tmp_path / "tasks" / "gone.yaml").write_text(gone)
    return tmp_path


def suite(place: Path, text: str) -> Path:
    file = place / "suite.toml"
    file.write_text(f'[[check]]\nkind = "lm_eval"\n{text}\n')
    return file


def test_the_share_of_right_answers_is_the_one_by_hand(place: Path) -> None:
    told = suite(place, 'task = "headstart_colours"\ninclude = "tasks"\nexamples = 7')
    (check,) = headstart.judge("run", suite=told).models[0].checks
    backbone = headstart.load("lm")
    network, tokenizer = with_head("lm", backbone.module)[0], backbone.preparation.tokenizer
    right = 0
    for line in (place / "tasks" / "q.jsonl").read_text().splitlines()[:7]:
        row = json.loads(line)
        start = tokenizer(row["question"])["input_ids"]
        likely = []
        for choice in CHOICES:
            ids = torch.tensor([tokenizer(f"{row['question']} {choice}")["input_ids"]])
            with torch.no_grad():
                scores = network(input_ids=ids).logits[0].log_softmax(-1)
            places = torch.arange(len(start) - 1, ids.shape[1] - 1)
            likely.append(float(scores[places, ids[0, places + 1]].sum()))
        right += likely.index(max(likely)) == row["answer"]
    assert check.examples == 7
    assert check.base.value == pytest.approx(right / 7)
    assert check.kind == "lm_eval"


def test_a_task_that_names_code_is_refused_and_none_is_run(place: Path) -> None:
    folder = place / "coded"
    folder.mkdir()
    whole = (place / "tasks" / "colours.yaml").read_text()
    file = folder / "colours.yaml"
    file.write_text(whole.replace("doc_to_target: answer", "doc_to_target: !function answers.right"))
    (folder / "answers.py").write_text("raise SystemExit('this was run')")
    told = suite(place, 'task = "headstart_colours"\ninclude = "coded"')
    with pytest.raises(ConfigurationError, match=r"colours\.yaml:\d+ names Python code \(!function\).*template"):
        headstart.judge("run", suite=told)
    file.write_text(whole + "# not: !function answers.right\n")
    headstart.judge("run", suite=told)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "needs task"),
        # reads the index of all of its tasks, thousands of files
        pytest.param('task = "no_such_task"', "no task 'no_such_task'", marks=pytest.mark.slow),
        ('task = "headstart_colours"\ninclude = "tasks"\nmeasure_by = "f1"', "that do: acc"),
        ('task = "headstart_colours"\ninclude = "tasks"\nfilter = "strict"', "no filter 'strict'; it has none"),
        ('task = "headstart_colours"\ninclude = "tasks"\nmetric = "accuracy"', "leave metric out"),
        ('task = "headstart_gone"\ninclude = "tasks"', "can't be run"),
    ],
)
def test_what_cannot_be_run(place: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        headstart.judge("run", suite=suite(place, text))
