"""A kind of input is asked for its properties, not compared by its name."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import headstart
from headstart.core.inputs import INPUT_KINDS
from headstart.tasks.task import Modality, Task

ROOT = Path(headstart.__file__).parent


def test_a_task_knows_its_kind_of_input() -> None:
    assert set(get_args(Modality)) == set(INPUT_KINDS)
    for name, kind in INPUT_KINDS.items():
        assert Task("single_label", name, ("a", "b")).input is kind
    assert [name for name, kind in INPUT_KINDS.items() if kind.is_image] == ["image"]


def test_no_room_compares_the_name_of_images() -> None:
    files = [path for kind in ("*.py", "*.j2") for path in ROOT.rglob(kind)]
    found = [
        path.relative_to(ROOT).as_posix() for path in files
        if re.search(r"modality [!=]= .image.", path.read_text(encoding="utf-8"))
    ]  # fmt: skip
    assert not found, f"{found}: ask INPUT_KINDS[…].is_image, a task's input.is_image, or a backbone's reads_images"
