"""The front door of prediction: every row in its place, what can't be used with its reason, the user's columns kept."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from headstart.core.errors import DataError
from headstart.data.findings import Findings
from headstart.data.model_input import EMPTY, NO_PAIR, NO_SINGLE, NO_TEXT, model_input
from headstart.data.unlabelled import stream, unlabelled

TEXT = {"text": "text", "label": "label"}


def test_rows_keep_their_order_their_columns_and_their_problems(tmp_path: Path) -> None:
    path = tmp_path / "new.jsonl"
    path.write_text(
        '{"id": 7, "text": "soup"}\n{broken\n{"id": 8, "text": null}\n{"id": 9, "text": ["a"]}\n'
        '{"id": 10, "text": "tea \\ud83d"}\n'
    )
    rows = list(stream([str(path)], "text", None, TEXT, Findings()))
    assert [row.place for row in rows] == [f"new.jsonl:{line}" for line in range(1, 6)]
    assert [row.value for row in rows] == ["soup", None, None, None, "tea ?"]
    assert [row.problem for row in rows] == [
        "", "that are no JSON object", "without text", "with a list or an object instead of a text", "",
    ]  # fmt: skip
    assert [row.columns.get("id") for row in rows] == [7, None, 8, 9, 10]
    with pytest.raises(DataError, match=r"new\.jsonl:2 can't be used"):
        unlabelled([str(path)], "text", None, TEXT)


@pytest.mark.parametrize("name", ["new.csv.gz", "new.tsv.gz", "new.jsonl.gz"])
def test_packed_files_are_tables_and_no_texts(tmp_path: Path, name: str) -> None:
    content = '{"text": "soup"}\n{"text": "tea"}\n' if "json" in name else "text\nsoup\ntea\n"
    (tmp_path / name).write_bytes(gzip.compress(content.encode()))
    assert [row.value for row in unlabelled([str(tmp_path / name)], "text")] == ["soup", "tea"]


def test_one_check_for_the_cells_of_files_and_the_values_of_python() -> None:
    assert model_input(["a"], "text") == "a"
    assert model_input([3.5], "text") == "3.5"
    assert model_input(["a", "b"], "text_pair") == ("a", "b")
    assert model_input(["a", None], "text_pair") == EMPTY
    assert model_input(["a", float("nan")], "text_pair") == EMPTY
    assert model_input([" \u3000\t"], "text") == EMPTY
    assert model_input(["a"], "text_pair") == NO_PAIR
    assert model_input(["a", "b", "c"], "text_pair") == NO_PAIR
    assert model_input(["a", "b"], "text") == NO_SINGLE
    assert model_input([{"a": 1}], "text") == NO_TEXT
    assert model_input(["half \ud83d of a pair"], "text") == "half ? of a pair"
