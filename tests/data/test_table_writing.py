"""Written tables: a cell comes out as it went in, and other programs can read it."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from headstart.core.errors import DataError
from headstart.data.tables.table_writing import writing

COLUMNS = ["id", "value"]


def written(path: Path, rows: list[dict[str, Any]]) -> str:
    with writing(path, COLUMNS) as write:
        write(rows)
    return path.read_bytes().decode()


@pytest.mark.parametrize("value", [52.520008123, 1700000000.25, 1234567.8, 1e-07, 0.1, -0.0, 3.0])
def test_numbers_are_not_rounded(tmp_path: Path, value: float) -> None:
    for name, sign in (("a.csv", ","), ("a.tsv", "\t")):
        assert written(tmp_path / name, [{"id": 2**60 + 1, "value": value}]) == (
            f"id{sign}value\n{2**60 + 1}{sign}{value!r}\n"
        )


def test_whole_numbers_that_no_parquet_type_holds_are_texts(tmp_path: Path) -> None:
    rows = [{"id": 7, "value": 2**65}, {"id": 2**62, "value": 1}]
    place = tmp_path / "a.parquet"
    with writing(place, COLUMNS) as write:
        write(rows)
    assert pq.read_table(place).to_pylist() == [
        {"id": 7, "value": str(2**65)}, {"id": 2**62, "value": "1"},
    ]  # fmt: skip
    with writing(tmp_path / "b.parquet", COLUMNS) as write:
        write(rows)
        with pytest.raises(DataError, match="the column 'id' starts as int64 and changes its type"):
            write([{"id": 2**65, "value": 1}])


@pytest.mark.parametrize("text", ["a\rb", "a\r\nb", "a\nb", "\r", 'say "a\rb"', "a,b\tc\r"])
@pytest.mark.parametrize("name", ["a.csv", "a.tsv"])
def test_a_carriage_return_ends_no_row(tmp_path: Path, name: str, text: str) -> None:
    written(tmp_path / name, [{"id": "x", "value": text}, {"id": "y", "value": "plain"}])
    with (tmp_path / name).open(newline="", encoding="utf-8") as file:
        read = list(csv.reader(file, delimiter="\t" if name == "a.tsv" else ","))
    assert read == [COLUMNS, ["x", text], ["y", "plain"]]
    assert (tmp_path / name).read_bytes().endswith(b"plain\n"), "other rows stay unquoted"


def test_what_json_has_no_word_for_is_null(tmp_path: Path) -> None:
    row = {"id": 1.5, "value": [math.nan, {"a": math.inf, "b": (-math.inf, 2.0)}, "NaN"]}
    text = written(tmp_path / "a.jsonl", [row, {"id": math.nan}])

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    assert [json.loads(line, parse_constant=refuse) for line in text.splitlines()] == [
        {"id": 1.5, "value": [None, {"a": None, "b": [None, 2.0]}, "NaN"]}, {"id": None},
    ]  # fmt: skip
