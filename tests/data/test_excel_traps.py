"""Tables and folders as Excel and people hand them on: what can't be read is named, and nothing is lost in silence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from made_data import finding, image, kinds, texts

from headstart.core.errors import DataError
from headstart.data.audit.findings import Findings
from headstart.data.ingest.unlabelled import stream
from headstart.data.read import read

File = Callable[..., Path]
ROWS = texts(60, ("bad", "good", "fair"))


def test_a_test_file_that_is_not_read_is_named(tmp_path: Path, csv_file: File) -> None:
    csv_file(ROWS, "train.csv")
    for name in ("test.xlsx", "val.zip", "notes.docx"):
        (tmp_path / name).write_bytes(b"PK")
    assert finding(read(tmp_path), "split").examples == ("test.xlsx", "val.zip")
    (tmp_path / "train_2.csv").write_text("text,label\nsoup,bad\n")
    (tmp_path / "train.csv").rename(tmp_path / "train_1.csv")
    with pytest.raises(DataError, match="Put their rows into one"):
        read(tmp_path)


def test_a_folder_with_the_test_file_alone(tmp_path: Path, csv_file: File) -> None:
    train = csv_file(ROWS, "train.csv")
    (tmp_path / "held").mkdir()
    csv_file([[f"{text} new", label] for text, label in ROWS[:9]], "held/test.csv")
    assert len(read(train, test=tmp_path / "held").test) == 9
    with pytest.raises(DataError, match="has files for test, but none for training"):
        read(tmp_path / "held")
    with pytest.raises(DataError, match="has files for test, but none for training"):
        read(train, validation=tmp_path / "held")


@pytest.mark.parametrize("form", ['"{},{}"\n', '"{},""{}"""\n'])
def test_lines_that_stand_in_quotes_as_a_whole(tmp_path: Path, form: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(form.format("text", "label") + "".join(form.format(*row) for row in ROWS))
    with pytest.raises(DataError, match="each line stands in quotes as a single cell. Take the quotes"):
        read(path)


@pytest.mark.parametrize("marks", ["''", "\u201c\u201d"])
def test_other_quotes_are_named(tmp_path: Path, marks: str) -> None:
    path = tmp_path / "a.csv"
    rows = (f"{marks[0]}{text}, yes{marks[1]},{label}\n" for text, label in ROWS)
    path.write_text("text,label\n" + "".join(rows))
    with pytest.raises(DataError, match=f'needs quotes around it .", not {marks[0]}.'):
        read(path)


def test_crosses_in_columns_of_classes_are_pointed_at(csv_file: File) -> None:
    rows = [[text, "x" if at % 2 else "", "" if at % 2 else "X"] for at, (text, _) in enumerate(ROWS)]
    file = csv_file(rows, header=("text", "good", "bad"))
    with pytest.raises(DataError, match="if each is a class: --label good,bad"):
        read(file)
    assert read(file, label="good,bad").task.labels == ("bad", "good")


@pytest.mark.parametrize("name", ["#REF!", "unlabeled"])
def test_words_of_a_spreadsheet_for_an_error_are_pointed_at(csv_file: File, name: str) -> None:
    data = read(csv_file([*ROWS, *([f"text {at}", name] for at in range(3))]))
    assert f"{name!r} is named like a missing value" in finding(data, "label_spelling").message


def test_texts_that_were_decoded_wrongly_before_are_pointed_at(csv_file: File) -> None:
    wrong = "caf\u00e9 d\u2019or".encode().decode("cp1252")
    assert finding(read(csv_file([[f"{text} {wrong}", label] for text, label in ROWS])), "encoding").count == 60
    right = "caf\u00e9 d\u2019or \u00c2me \u00c3O \u00a9 20\u00b0"
    assert "encoding" not in kinds(read(csv_file([[f"{text} {right}", label] for text, label in ROWS])))


@pytest.mark.parametrize(
    ("header", "text"),
    [
        ("What did you think of the course?,Would you recommend it?", "What did you think of the course?"),
        ('"What did you think\n of it?","Rate\nit"', "What did you think\n of it?"),
        ("All that you would like to tell us,Overall mark", "All that you would like to tell us"),
    ],
)
def test_questions_above_answers_are_a_header(tmp_path: Path, header: str, text: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(header + "\n" + "".join(f"{text},{label}\n" for text, label in ROWS))
    data = read(path)
    assert data.record.columns["text"] == text
    assert data.record.rows_used == 60
    path.write_text("".join(f"is this {text}?,{label}\n" for text, label in ROWS))
    assert read(path).record.columns["text"] == "column 1", "questions that are texts"
    path.write_text("can you help me there?\n" + "".join(f"{text}\n" for text, _ in ROWS))
    rows = list(stream([str(path)], "text", None, {"text": "text"}, Findings()))
    assert [rows[0].value, len(rows)] == ["can you help me there?", 61], "a single column may be texts alone"


@pytest.mark.parametrize("content", ["text,label\n\n\n\n", "text\n \n\n", "\n\n\n", "Title\ntext,label\n\n"])
def test_files_without_rows_are_called_so(tmp_path: Path, content: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(content)
    with pytest.raises(DataError, match="has a header but no rows|is empty|no column looks like the label"):
        read(path)


def test_names_of_groups_above_the_header(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    rows = "".join(f"{at},{text},{label}\n" for at, (text, label) in enumerate(ROWS))
    path.write_text("Review,,Rating\nid,text,label\n" + rows)
    assert read(path).record.columns == {"text": "text", "label": "label"}


def test_a_question_and_a_sentence_are_a_pair(csv_file: File) -> None:
    """QNLI: a column called sentence wins over others, but not over a pair that it belongs to."""
    rows = [[f"{text} which?", text, label] for text, label in ROWS]
    data = read(csv_file(rows, header=("question", "sentence", "label")))
    assert data.record.columns == {"text": "question", "text_b": "sentence", "label": "label"}
    assert read(csv_file(rows, header=("title", "sentence", "label"))).record.columns["text"] == "sentence"


def test_rows_that_lie_deep_in_one_object_are_pointed_at(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    rows = [{"text": text, "label": label} for text, label in ROWS]
    path.write_text(json.dumps({"status": "ok", "result": {"found": rows}}))
    with pytest.raises(DataError, match=r"a single row, whose 'result.found' may hold the rows"):
        read(path)


def test_columns_of_one_and_minus_one_are_classes(csv_file: File) -> None:
    """CelebA: -1 is a no. Elsewhere, beside zeros, it is a missing label."""
    rows = [[text, 1 if at % 2 else -1, 1 if at % 3 else -1] for at, (text, _) in enumerate(ROWS)]
    with pytest.raises(DataError, match="if each is a class: --label smile,hat"):
        read(csv_file(rows, header=("text", "smile", "hat")))
    data = read(csv_file(rows, header=("text", "smile", "hat")), label="smile,hat")
    found = dict(zip(data.train.inputs(), data.train.targets.tolist()))
    assert data.record.rows_used == 60
    assert data.task.labels == ("hat", "smile")
    assert all(found[text] == [at % 3 > 0, at % 2] for at, (text, _) in enumerate(ROWS) if text in found)
    data = read(csv_file([*rows, ["soup", 0, 1]], header=("text", "smile", "hat")), label="smile,hat")
    assert finding(data, "missing_label").count == 30


def test_words_that_stand_one_a_row_are_pointed_at(csv_file: File) -> None:
    words = [
        [at, word, "OX"[place % 2]] for at, (text, _) in enumerate(ROWS) for place, word in enumerate(text.split())
    ]
    assert "each text of 'words' is one word" in finding(
        read(csv_file(words, header=("sentence_id", "words", "labels"))), "words"
    ).message  # fmt: skip


def test_classes_inside_of_a_folder_beside_masks_are_shown(tmp_path: Path) -> None:
    for name in ("images/a", "images/b", "masks/a", "masks/b"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "1.png").write_bytes(image(1))
    with pytest.raises(DataError, match="If the folders in .*images are the classes, name it alone"):
        read(tmp_path)


def test_a_line_that_says_another_delimiter(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("sep=,\ntext;label\n" + "".join(f"{text};{label}\n" for text, label in ROWS))
    assert read(path).record.rows_used == 60


def test_folders_of_readable_files_are_not_called_unread(tmp_path: Path, csv_file: File) -> None:
    for name in ("de", "en"):
        (tmp_path / name).mkdir()
        csv_file(ROWS, f"{name}/train.csv")
    (tmp_path / "x.odd").write_text("x")
    with pytest.raises(DataError, match=r"it has de, en, x\.odd\. Did you mean .*/de or .*/en"):
        read(tmp_path)
