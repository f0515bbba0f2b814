"""Tables of pixels and of words with tags under other names: read, or refused with what to do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made_data import finding, kinds, texts

from headstart.core.errors import DataError
from headstart.data.read import read

File = Callable[..., Path]
ROWS = texts(60, ("bad", "good", "fair"))


@pytest.mark.parametrize("sign", [" ", ", "])
def test_pixels_in_a_cell_are_no_text(csv_file: File, sign: str) -> None:
    """As FER-2013 has them."""
    rows = [[at % 7, sign.join(str((at * spot) % 256) for spot in range(48 * 48))] for at in range(60)]
    for names in ({}, {"text": "pixels", "label": "emotion"}):
        with pytest.raises(DataError, match="texts in 'pixels' are rows of numbers.*save each row as a PNG"):
            read(csv_file(rows, header=("emotion", "pixels")), **names)


def test_pixels_in_columns_are_named(csv_file: File) -> None:
    """As MNIST has them."""
    rows = [[at % 10, *((at * spot) % 256 for spot in range(784))] for at in range(60)]
    file = csv_file(rows, header=("label", *(f"pixel{spot}" for spot in range(784))))
    with pytest.raises(DataError, match=r"784 columns of numbers \(pixel0 … pixel783\).*save each row as a PNG"):
        read(file)
    assert "'pixel1' are numbers" in finding(read(file, text="pixel1"), "numbers").message
    assert "numbers" not in kinds(read(csv_file(ROWS)))


def conll(rows: int, name: str, sign: str) -> str:
    words = [("Ada", "NNP", "B-PER"), ("saw", "VBD", "O"), (f"{name}{{}}", "NNP", "B-LOC"), (".", ".", "O")]
    every = ("".join(sign.join(line).format(at) + "\n" for line in words) for at in range(rows))
    return sign.join(("-DOCSTART-", "-X-", "O")) + "\n\n" + "\n".join(every)


@pytest.mark.parametrize("sign", [" ", "\t"])
def test_conll_in_files_of_text_is_read(tmp_path: Path, sign: str) -> None:
    """As CoNLL-2003 comes: train.txt, valid.txt, test.txt."""
    for name, rows in (("train", 200), ("valid", 10), ("test", 10)):
        (tmp_path / f"{name}.txt").write_text(conll(rows, name, sign))
    for source in (tmp_path, tmp_path / "train.txt"):
        data = read(source)
        assert data.task.kind == "tagging"
        assert {label[2:] for label in data.task.labels} == {"", "LOC", "PER"}
    assert read(tmp_path).record.rows_used == 220


@pytest.mark.parametrize("text", ["a story of O\nanother day\n", "Rome is\n\nfair O\n", "O\nO\n", "is O\nnot O\n"])
def test_other_texts_are_no_conll(tmp_path: Path, text: str) -> None:
    (file := tmp_path / "a.txt").write_text(text * 5)
    with pytest.raises(DataError, match="no table by its name"):
        read(file)


def test_values_of_hive_folders_are_a_column(tmp_path: Path) -> None:
    """As Spark and pyarrow write partitions."""
    for name in ("very%20good", "bad"):
        (folder := tmp_path / f"verdict={name}" / "year=2024").mkdir(parents=True)
        rows = [{"text": f"{text} {name}"} for text, _ in ROWS]
        pq.write_table(pa.Table.from_pylist(rows), folder / "part-0.parquet")
    data = read(tmp_path)
    assert (data.record.rows_used, data.task.labels) == (120, ("bad", "very good"))
    assert data.record.columns == {"text": "text", "label": "verdict"}
    for part in (data.train, data.validation, data.test):
        assert all(str(text).endswith("bad") == (target == 0) for text, target in zip(part.inputs(), part.targets))


def test_windows_1252_is_said_in_the_summary(tmp_path: Path) -> None:
    (file := tmp_path / "a.csv").write_bytes(
        b"text,label\n" + "".join(f"{t} é,{c}\n" for t, c in ROWS).encode("cp1252")
    )
    assert "commas, UTF-8 and Windows-1252, 60 rows" in str(read(file))


def test_marks_that_are_allowed_are_listed(csv_file: File) -> None:
    rows = [[text, ["ja", "nein"][at % 2], ["ja", "nein"][at // 2 % 2]] for at, (text, _) in enumerate(ROWS)]
    with pytest.raises(DataError, match="'Lob' holds 'ja'. Allowed are 1 and 0, true and false"):
        read(csv_file(rows, header=("text", "Lob", "Kritik")), label="Lob,Kritik")


@pytest.mark.parametrize(("stand_in", "said"), [("-999", True), ("9999", True), ("-998", False), ("9.9", False)])
def test_a_stand_in_for_missing_scores_is_pointed_at(csv_file: File, stand_in: str, said: bool) -> None:
    rows = [[text, stand_in if at % 9 == 0 else 1 + at / 25] for at, (text, _) in enumerate(texts(120))]
    data = read(csv_file(rows), kind="regression")
    found = [one.message for one in data.record.findings if one.kind == "label_numbers"]
    assert bool(found) == said
    assert not said or f"the number {stand_in} stands in" in found[0]
