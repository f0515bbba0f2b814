"""The front door of prediction: every row in its place, what can't be used with its reason, the user's columns kept."""

from __future__ import annotations

import base64
import gzip
import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from headstart.core.errors import DataError
from headstart.data.audit.findings import Findings
from headstart.data.ingest.model_input import EMPTY, NO_PAIR, NO_SINGLE, NO_TEXT, model_input
from headstart.data.ingest.unlabelled import columns_of, stream, unlabelled
from headstart.tasks.task import Modality

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
        "", "without a JSON object", "without text", "with a list or an object instead of a text", "",
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
    assert model_input(["\u200b\ufeff \x00"], "text") == EMPTY, "no sign that can be seen"
    assert model_input(["\u200b\ue000"], "text") == "\u200b\ue000", "signs of an icon font"
    assert model_input(["a"], "text_pair") == NO_PAIR
    assert model_input(["a", "b", "c"], "text_pair") == NO_PAIR
    assert model_input(["a", "b"], "text") == NO_SINGLE
    assert model_input([{"a": 1}], "text") == NO_TEXT
    assert model_input(["half \ud83d of a pair"], "text") == "half ? of a pair"


def test_lone_quotes_and_bytes_of_other_encodings_cost_no_row_and_are_noted(tmp_path: Path) -> None:
    path, findings = tmp_path / "new.csv", Findings()
    path.write_bytes('id,text\n1,"soup was cold\n2,caf\xe9\n3,a screen of 5"\n4\n'.encode("latin-1"))
    rows = list(stream([str(path)], "text", None, TEXT, findings))
    assert [row.value for row in rows] == ['"soup was cold', "caf\xe9", 'a screen of 5"', None]
    assert [row.columns["id"] for row in rows] == ["1", "2", "3", None]
    assert {finding.kind: finding.examples for finding in findings.records()} == {
        "quote": ("new.csv:2",), "encoding": ("new.csv:3",),
    }  # fmt: skip


def test_columns_that_the_model_was_not_trained_on(tmp_path: Path) -> None:
    path, findings = tmp_path / "new.csv", Findings()
    path.write_text("id,review\n1,soup\n2,tea\n")
    assert [row.value for row in stream([str(path)], "text", None, TEXT, findings)] == ["soup", "tea"]
    assert "trained on 'text'" in findings.records()[0].message
    path.write_text("id,label\n1,hot\n2,cold\n")
    with pytest.raises(DataError, match="no column looks like the input. Name it with --text"):
        list(stream([str(path)], "text", None, TEXT, findings))
    path.write_text("soup\ntea\n")
    with pytest.raises(DataError, match=r"no column 'text'.*if the first line is a text already, put the line text"):
        list(stream([str(path)], "text", None, TEXT, findings))
    assert [row.value for row in stream([str(path)], "text", "soup", TEXT, findings)] == ["tea"]
    path.write_text("a soup that was cold\ntea\n")
    assert len(list(stream([str(path)], "text", None, TEXT, findings))) == 2, "a sentence is no column's name"
    pair = {"text": "premise", "text_b": "hypothesis", "label": "label"}
    path.write_text("premise\na\n")
    with pytest.raises(DataError, match="no column 'hypothesis'"):
        list(stream([str(path)], "text_pair", None, pair, findings))


@pytest.mark.parametrize("entry", ["soup\t", "\ttea", "soup\ttea\tcake", "soup"])
def test_a_text_that_is_no_pair_is_refused(entry: str) -> None:
    with pytest.raises(DataError, match="pairs of texts"):
        unlabelled([entry], "text_pair")
    assert unlabelled(["soup\ttea"], "text_pair")[0].value == ("soup", "tea")


@pytest.mark.parametrize("entry", ["-", "/dev/null"])
@pytest.mark.parametrize("modality", ["text", "text_pair"])
def test_standard_input_and_pipes_are_no_texts(entry: str, modality: Modality) -> None:
    with pytest.raises(DataError, match="write the texts into a file"):
        unlabelled([entry], modality)


def test_a_table_of_images_that_are_not_there_says_so(tmp_path: Path) -> None:
    (tmp_path / "new.csv").write_text("picture\nx/0.png\nx/1.png\n")
    with pytest.raises(DataError, match=r"none of them exists \(x/0.png\)"):
        unlabelled([str(tmp_path / "new.csv")], "image")


@pytest.mark.parametrize("entry", ["notes.txt", "report.xlsx", "old.feather", "my reviews.csv"])
def test_a_missing_file_is_no_text(tmp_path: Path, entry: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my review.csv").write_text("text\nsoup\n")
    with pytest.raises(DataError, match=f"there is no file {entry}"):
        unlabelled([entry], "text")
    (tmp_path / "noted").write_text("soup")
    with pytest.raises(DataError, match="noted is a file; give a text itself"):
        unlabelled(["noted"], "text")
    said = "please open the other report.csv"
    assert unlabelled([said], "text")[0].value == said, "no file is called nearly so"
    with pytest.raises(DataError, match="download https://example.org/new.csv"):
        unlabelled(["https://example.org/new.csv"], "text")
    assert unlabelled(["https://example.org/a"], "text")[0].value == "https://example.org/a", "a short message"


@pytest.mark.parametrize("first", [b"\x00\xff", None])
def test_bytes_that_no_output_can_hold_are_noted(tmp_path: Path, first: bytes | None) -> None:
    path = tmp_path / "new.parquet"
    pq.write_table(pa.table({"text": ["soup", "tea"], "raw": [first, b"\x01\xfe"], "id": [1, 2]}), path)
    findings = Findings()
    rows = list(stream([str(path)], "text", None, TEXT, findings))
    assert [list(row.columns) for row in rows] == [["text", "id"]] * 2
    assert columns_of([str(path)]) == ["text", "id"]
    assert ["has no column 'raw'" in one.message for one in findings.records()] == [True]


def test_images_in_base64_leave_no_empty_column(tmp_path: Path) -> None:
    """The header had the column, and its cells came out empty."""
    picture = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(picture, "PNG")
    path = tmp_path / "new.csv"
    path.write_text("id,image\n" + f"7,{base64.b64encode(picture.getvalue()).decode()}\n" * 3)
    findings = Findings()
    rows = list(stream([str(path)], "image", None, {"image": "image"}, findings))
    assert [(row.columns, row.value) for row in rows] == [({"id": "7"}, picture.getvalue())] * 3
    assert columns_of([str(path)]) == ["id"]
    assert "has no column 'image'" in findings.records()[0].message


@pytest.mark.parametrize(
    ("name", "content", "modality"),
    [
        ("a.csv", "text,id\nsoup, tea,1\ncake, tea,2\nrice,3\n", "text"),
        ("a.jsonl", 'broken\n[1]\n{"text": "rice"}\n', "text"),
        ("a.conll", "soup\tO\ntea\n\ncake\n\nrice\tO\n", "text_words"),
    ],
)
def test_rows_that_are_mostly_broken_keep_their_places(
    tmp_path: Path, name: str, content: str, modality: Modality
) -> None:
    """Training refuses such a file, because it may have another format; a prediction answers each row by itself."""
    (tmp_path / name).write_text(content)
    trained = {"text": "words" if name == "a.conll" else "text"}
    rows = list(stream([str(tmp_path / name)], modality, None, trained, Findings()))
    assert [(row.name, bool(row.problem)) for row in rows] == [("", True), ("", True), ("rice", False)]
    (tmp_path / name).write_text(content.split("rice")[0].removesuffix('{"text": "'))
    with pytest.raises(DataError, match="2 of 2 rows"):
        list(stream([str(tmp_path / name)], modality, None, trained, Findings()))
