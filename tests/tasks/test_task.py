"""Task objects: one class a kind, chosen by the word in the record; a new kind is one file from outside."""

from __future__ import annotations

import contextlib
import io
import pickle
import re
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch

import headstart
from backbones.tiny import WORDS, save
from headstart.core.errors import ConfigurationError
from headstart.tasks.classification import Classification
from headstart.tasks.task import TASKS, Task


def test_the_kind_chooses_the_class() -> None:
    task = Task("single_label", "text", ("a", "b"))
    assert isinstance(task, Classification)
    assert Task.from_json(task.to_json()) == task
    assert pickle.loads(pickle.dumps(task)) == replace(task, class_weights=()) == task
    assert Task(kind="regression", modality="text").outputs == 1


def test_records_of_before_there_were_classes_are_read() -> None:
    old = {"kind": "multi_label", "modality": "text", "labels": ["a", "b"], "class_weights": [], "images": {}}
    task = Task.from_json(old)
    assert (task.outputs, task.noun) == (2, "several labels")
    assert set(task.to_json()) == set(old)


def test_a_kind_that_nobody_has_is_named_with_the_nearest() -> None:
    with pytest.raises(ConfigurationError, match="single_label"):
        Task("single_labl", "text")


def test_a_second_class_of_one_kind_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="registered twice"):

        @TASKS.register("regression")
        @dataclass(frozen=True)
        class Another(Task):
            pass


def test_decisions_and_code_are_those_of_the_kind() -> None:
    scores = np.array([[0.2, 0.7], [0.9, 0.6]], dtype=np.float32)
    single, several = (Task(kind, "text", ("a", "b")) for kind in ("single_label", "multi_label"))
    assert single.decided(scores).tolist() == [[1], [0]]
    assert several.decided(scores).tolist() == [[False, True], [True, True]]
    assert Task("tagging", "text_words", ("O", "X")).decided(np.stack([scores, scores])).tolist() == [[1, 0], [1, 0]]
    for task, answer in ((single, "['b', 'a']"), (several, "[['b'], ['a', 'b']]"), (Task("regression", "text"), "")):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec("\n".join(task.code()), {"scores": torch.tensor([[-1.0, 2.0], [3.0, 1.0]])})
        assert answer in printed.getvalue()


ASKS = re.compile(
    r"""kind\w*\s*(==|!=|in|not\ in)\s*[\["'({]+(single_label|multi_label|regression|tagging)|["']text_words["']""",
    re.X,
)
KNOW_THEM = {
    "core/inputs.py": "the kinds of input",
    "data/ingest/label_lists.py": "which kinds lists of labels fit",
    "data/ingest/label_types.py": "which types of cells fit the kinds here",
    "data/ingest/labels.py": "chooses one of the kinds here by the types of the cells",
    "data/tables/columns.py": "chooses the kind of input by the columns",
    "backbones/loaders/packaged.py": "the default model of each kind of input",
    "backbones/export/checkpoint.py": "the words of other libraries",
}


def test_no_room_asks_for_a_kind_by_name() -> None:
    """A new kind of task is one file: what differs by kind is a property or a method of the task, or of its input."""
    assert ASKS.search('if task.kind == "regression":')
    root = Path(headstart.__file__).parent
    files = [*root.rglob("*.py"), *root.rglob("*.j2")]
    asking = {path.relative_to(root).as_posix() for path in files if ASKS.search(path.read_text(encoding="utf-8"))}
    allowed = {*KNOW_THEM, *(name for name in asking if name.startswith(("tasks/", "stats/")))}
    assert asking == allowed


TOY = '''
"""Ordinal classes: numbers in an order, judged by how far off an answer is."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from headstart.stats.metrics import Metric
from headstart.tasks.classification import Classification
from headstart.tasks.task import TASKS, Read


def rows(predictions):
    away = np.abs(predictions.scores.argmax(1) - predictions.targets)
    return np.stack([away, np.ones(len(away))], 1).astype(float)


@TASKS.register("ordinal")
@dataclass(frozen=True)
class Ordinal(Classification):
    noun: ClassVar[str] = "a step of a scale"

    @classmethod
    def targets_of(cls, label):
        steps = sorted({int(name) for name in label.names})
        labels = tuple(map(str, steps))
        values = np.array([steps.index(int(name)) for name in label.names])[label.codes]
        return Read(labels, values, np.ones(len(values), dtype=bool))

    @property
    def metrics(self):
        mean = lambda sums: sums[..., 0] / sums[..., 1]
        return {"steps_off": Metric("steps_off", False, rows, mean, (0.0, 10.0), percent=False)}
'''


def test_a_kind_from_another_package_needs_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Found through the entry point, read, trained, judged by its own metric, saved and asked."""
    (tmp_path / "toy_ordinal.py").write_text(TOY)
    told = tmp_path / "toy_ordinal-1.0.dist-info"
    told.mkdir()
    (told / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-ordinal\nVersion: 1.0\n")
    (told / "entry_points.txt").write_text("[headstart.tasks]\nordinal = toy_ordinal\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(TASKS, "_filled", False)
    words = ["bad", "good", "great"]
    lines = [
        f"the {words[step]} film number {WORDS[at]} {WORDS[at + step]},{step}" for step in range(3) for at in range(40)
    ]
    (tmp_path / "films.csv").write_text("\n".join(["text,label", *lines]))
    try:
        found = headstart.compare(
            tmp_path / "films.csv", save("bert", tmp_path / "bert"), kind="ordinal", seeds=1, trials=1, epochs=2,
            methods=["probe", "full", "majority"], out=tmp_path / "run",
        )  # fmt: skip
        assert (found.task.kind, found.task.metric, found.task.noun) == ("ordinal", "steps_off", "a step of a scale")
        rows = {row.method: row for row in found.rows}
        assert rows["probe"].value < rows["majority"].value
        (answer,) = headstart.predict(tmp_path / "run", ["the great film number good great"])
        assert answer.label in ("0", "1", "2")
    finally:
        TASKS._items.pop("ordinal", None)
        sys.modules.pop("toy_ordinal", None)
