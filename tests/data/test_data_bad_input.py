"""What users really bring. Each is one clear error, or rows left out and listed; never a traceback or silence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from made_data import finding, image, kinds, texts

from headstart.core.errors import DataError, ResourceError
from headstart.data.read import read

File = Callable[..., Path]


def test_a_missing_file_suggests_its_neighbours(tmp_path: Path, csv_file: File) -> None:
    csv_file(texts(10), "reviews.csv")
    with pytest.raises(DataError, match=r"no file or folder .*revews.csv.*Did you mean .*reviews\.csv"):
        read(tmp_path / "revews.csv")
    with pytest.raises(DataError, match="does not exist either"):
        read(tmp_path / "nowhere" / "reviews.csv")
    with pytest.raises(DataError, match="addresses are not read: download https://example.org/reviews.csv"):
        read("https://example.org/reviews.csv")


@pytest.mark.parametrize("name", ["data.csv", "data.tsv", "data.jsonl", "data.parquet"])
@pytest.mark.parametrize("content", [b"", bytes(range(256)) * 40, b"\x89PNG\r\n\x1a\n" + bytes(100), b"PK\x03\x04abc"])
def test_empty_files_and_garbage(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match="empty|can't be read as text|as Parquet"):
        read(tmp_path / name)


@pytest.mark.parametrize("content", ["text,label\n", "text,label", "\n\n", "text\tlabel\r\n"])
def test_a_header_alone(tmp_path: Path, content: str) -> None:
    (tmp_path / "data.csv").write_text(content)
    with pytest.raises(DataError, match="no rows|empty"):
        read(tmp_path / "data.csv")


def test_an_empty_split_is_refused(tmp_path: Path, csv_file: File) -> None:
    csv_file(texts(20), "train.csv")
    csv_file([], "test.csv")
    with pytest.raises(DataError, match=r"test\.csv has a header but no rows"):
        read(tmp_path)
    csv_file([["", "yes"], [" ", "no"]], "test.csv")
    with pytest.raises(DataError, match=r"no row of the test split is usable. 2 rows without text.*test\.csv:2"):
        read(tmp_path)


@pytest.mark.parametrize("lost", ["test", "validation"])
@pytest.mark.parametrize("how", ["no label", "no text"])
def test_a_marked_split_without_any_usable_row_is_not_replaced_in_silence(csv_file: File, lost: str, how: str) -> None:
    """As for a file of its own: a table whose test rows are unlabelled got a test split made of training rows."""
    header = ("text", "label", "split")
    rest = [(text, label, "train") for text, label in texts(40)]
    bare = [("" if how == "no text" else text, "" if how == "no label" else label, lost) for text, label in texts(20)]
    with pytest.raises(DataError, match=rf"no row of the {lost} split is usable. 20 rows without (a )?(label|text)"):
        read(csv_file([*rest, *bare], header=header))
    data = read(csv_file([*rest, *bare, ("some good text", "yes", lost)], header=header))
    assert len(getattr(data, lost)) == 1


def test_a_split_without_the_column_is_named(tmp_path: Path, csv_file: File) -> None:
    csv_file(texts(20), "train.csv")
    csv_file(texts(20), "test.csv", ("text", "class"))
    with pytest.raises(DataError, match=r"test\.csv has no column 'label'.*text, class"):
        read(tmp_path)


def test_folders_without_anything_usable(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="it is empty"):
        read(tmp_path)
    (tmp_path / "notes.docx").write_text("x")
    with pytest.raises(DataError, match=r"it has notes\.docx"):
        read(tmp_path)
    (tmp_path / "a.png").write_bytes(image(0))
    with pytest.raises(DataError, match="outside of class folders"):
        read(tmp_path)
    (tmp_path / "test.csv").write_text("text,label\na,b\n")
    with pytest.raises(DataError, match="none for training"):
        read(tmp_path)


def test_a_file_that_may_not_be_read(csv_file: File, monkeypatch: pytest.MonkeyPatch) -> None:
    path = csv_file(texts(20))

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)  # chmod would not stop root
    with pytest.raises(DataError, match=r"can't read .*data\.csv: Permission denied"):
        read(path)


def test_a_missing_header_is_suspected(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("".join(f"{text},{label}\n" for text, label in texts(30)))
    assert finding(read(tmp_path / "data.csv"), "header").examples == ("data.csv:1",)


def test_a_folder_that_can_not_be_written(tmp_path: Path, csv_file: File) -> None:
    with pytest.raises(ResourceError, match="TMPDIR"):
        read(csv_file(texts(20)), folder=tmp_path / "missing")


def test_unknown_formats_and_things(tmp_path: Path) -> None:
    (tmp_path / "data.xyz").write_text("a")
    with pytest.raises(DataError, match=r"\.xyz is no format known"):
        read(tmp_path / "data.xyz")
    with pytest.raises(DataError, match="from a int"):
        read(7)


def test_lines_that_are_no_json_are_left_out(tmp_path: Path) -> None:
    lines = [json.dumps({"text": text, "label": label}) for text, label in texts(30)]
    lines[3], lines[9], lines[11], lines[13] = "{broken", "[1, 2]", "[" * 100_000, '"text"'
    path = tmp_path / "data.jsonl"
    path.write_text("\n".join(lines))
    data = read(path)
    assert finding(data, "malformed").examples == ("data.jsonl:4", "data.jsonl:10", "data.jsonl:12", "data.jsonl:14")
    assert (data.record.rows_read, data.record.rows_used) == (30, 26)
    path.write_text("\n".join(["no json"] * 20 + lines[:3]))
    with pytest.raises(DataError, match=r"20 of 23 rows are not a JSON object \(first: data.jsonl:1,"):
        read(path)


def test_rows_with_other_numbers_of_cells(tmp_path: Path) -> None:
    lines = [f"{text},{label}" for text, label in texts(30)]
    lines[4] = "a text, with an unquoted comma,yes"
    lines[6] = "only one"
    path = tmp_path / "data.csv"
    path.write_text("\n".join(["text,label", *lines]))
    data = read(path)
    assert finding(data, "malformed").examples == ("data.csv:6", "data.csv:8")
    assert data.record.rows_used == 28
    path.write_text("\n".join(["text,label", *["a, b, c"] * 30, *lines[:4]]))
    with pytest.raises(DataError, match="30 of 34 rows do not have the header's 2 cells; .* needs quotes"):
        read(path)


def test_a_quote_left_open_is_pointed_at(tmp_path: Path) -> None:
    lines = [f"{text},{label}" for text, label in texts(100)]
    lines[40] = '"' + lines[40]
    path = tmp_path / "data.csv"
    path.write_text("\n".join(["text,label", *lines]))
    data = read(path)
    assert data.record.rows_used == 100
    assert finding(data, "quote").examples == ("data.csv:42",)


def test_a_twenty_megabyte_cell_is_left_out(csv_file: File) -> None:
    rows = texts(30)
    rows[5][0] = "word " * 4_000_000
    rows[6][0] = "word " * 40_000
    data = read(csv_file(rows))
    assert data.record.rows_used == 29
    errors = [f for f in data.record.findings if f.kind == "long" and f.severity == "error"]
    assert errors[0].examples == ("data.csv:7",)
    assert "1,000,000 characters" in errors[0].message
    assert kinds(data)["long"] == 2


def test_bytes_of_other_encodings(tmp_path: Path) -> None:
    rows = [f"{text},{label}" for text, label in texts(30)]
    rows[3] = "caf\xe9 na\xefve,yes"
    (tmp_path / "data.csv").write_bytes("\n".join(["text,label", *rows]).encode("latin-1"))
    data = read(tmp_path / "data.csv")
    assert finding(data, "encoding").examples == ("data.csv:5",)
    every = [*data.train.inputs(), *data.validation.inputs(), *data.test.inputs()]
    assert "caf\xe9 na\xefve" in every


def test_half_of_a_surrogate_pair(tmp_path: Path) -> None:
    lines = [json.dumps({"text": text, "label": label}) for text, label in texts(30)]
    lines[2] = '{"text": "broken \\ud83d emoji", "label": "yes"}'
    (tmp_path / "data.jsonl").write_text("\n".join(lines))
    assert read(tmp_path / "data.jsonl").record.rows_used == 30


def test_texts_that_are_none(json_file: File) -> None:
    rows = [{"text": text, "label": label} for text, label in texts(30)]
    rows[0]["text"], rows[1]["text"], rows[2]["text"] = None, ["a"], 17  # type: ignore[list-item, call-overload]
    data = read(json_file(rows), text="text", label="label")
    assert finding(data, "empty").examples == ("data.jsonl:1",)
    assert finding(data, "malformed").examples == ("data.jsonl:2",)
    assert data.record.rows_used == 28


def test_nothing_usable_at_all(csv_file: File) -> None:
    with pytest.raises(DataError, match="no row of the train split is usable. 20 rows without text"):
        read(csv_file([["", "a"], ["  ", "b"]] * 10))
    with pytest.raises(DataError, match="no row of the train split is usable. 20 rows without a label"):
        read(csv_file([["a", ""], ["b", ""]] * 10), label="label")


def test_too_few_rows_to_split(csv_file: File) -> None:
    with pytest.raises(DataError, match="2 usable rows"):
        read(csv_file(texts(2)))
    data = read(csv_file(texts(6)))
    assert min(len(data.train), len(data.validation), len(data.test)) >= 1


def test_columns_twice_in_the_header(csv_file: File) -> None:
    with pytest.raises(DataError, match="names text twice"):
        read(csv_file(texts(10), header=("text", "text")))


def test_a_key_twice_in_an_object(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    path.write_text("".join(f'{{"text": "a{at}", "label": {at % 2}, "text": "b"}}\n' for at in range(20)))
    with pytest.raises(DataError, match="names text twice in one object"):
        read(path)


def test_a_parquet_file_cut_short(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path / "data.parquet"
    pq.write_table(pa.table({"text": [row[0] for row in texts(99)], "label": np.arange(99) % 2}), path)
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(DataError, match="Is the file whole"):
        read(path)
    pq.write_table(pa.table({"text": pa.array([], pa.string()), "label": pa.array([], pa.string())}), path)
    with pytest.raises(DataError, match="no rows"):
        read(path)


def test_two_train_files_are_not_chosen_between(tmp_path: Path, csv_file: File) -> None:
    csv_file(texts(20), "train.csv")
    csv_file(texts(20), "train.tsv")
    with pytest.raises(DataError, match=r"several files for the train split: train\.csv, train\.tsv"):
        read(tmp_path)


def test_a_strange_split_column(csv_file: File) -> None:
    rows = [[*row, "train" if at else "extra"] for at, row in enumerate(texts(30))]
    with pytest.raises(DataError, match="holds 'extra'. Allowed: train, validation, test"):
        read(csv_file(rows, header=("text", "label", "split")))


@pytest.mark.parametrize(
    ("name", "advice"),
    [("a.xlsx", "save it as CSV"), ("a.zip", "unpack it"), ("a.txt", r"call it \.csv"), ("a.pkl", "a pickle")],
)
def test_formats_that_are_not_read_say_what_to_do(tmp_path: Path, name: str, advice: str) -> None:
    (tmp_path / name).write_bytes(b"PK\x03\x04")
    with pytest.raises(DataError, match=advice):
        read(tmp_path / name)


def test_a_folder_one_level_too_high_is_named(tmp_path: Path, csv_file: File) -> None:
    (tmp_path / "inner").mkdir()
    csv_file(texts(20), "inner/train.csv")
    with pytest.raises(DataError, match=r"Did you mean .*inner\?"):
        read(tmp_path)
