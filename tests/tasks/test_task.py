"""Task objects: one class a kind, chosen by the word in the record; a new kind is one file from outside."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, replace

import pytest

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
