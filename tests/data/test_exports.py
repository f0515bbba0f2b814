"""Tables as other programs write them: survey tools, annotation tools, spreadsheets, R, pandas."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_data import finding, kinds, texts

from headstart.core.errors import DataError
from headstart.core.words import Words
from headstart.data.audit.findings import Findings
from headstart.data.ingest.unlabelled import stream
from headstart.data.read import read
from headstart.data.tables.tabular import Delimited

File = Callable[..., Path]
ROWS = texts(60, ("bad", "good", "fair"))


def lines(rows: list[list[object]] = ROWS, sign: str = ",") -> str:
    return "".join(sign.join(map(str, row)) + "\n" for row in rows)


def written(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def all_of(data: Any) -> dict[str, str]:
    """Each text's class."""
    return {
        str(text): data.task.labels[target]
        for part in (data.train, data.validation, data.test)
        for text, target in zip(part.inputs(), part.targets)
    }


EXPECTED = {str(text): label for text, label in ROWS}


def test_label_studio_with_several_choices(json_file: File, csv_file: File) -> None:
    """One choice is a text, several are an object: neither is lost."""
    topics = [{"choices": ["a", "b"]}, "a", "b"]
    file = json_file([{"text": text, "topics": topics[at % 3]} for at, (text, _) in enumerate(ROWS)])
    with pytest.raises(DataError, match=r"list in 20.*--kind multi_label reads a text as a list of one"):
        read(file, label="topics")
    for source in (
        file,
        csv_file(
            [[text, json.dumps(topics[at % 3]).strip('"')] for at, (text, _) in enumerate(ROWS)],
            header=("text", "topics"),
        ),
    ):
        data = read(source, label="topics", kind="multi_label")
        assert data.task.labels == ("a", "b")
        assert data.record.rows_used == 60
    assert read(source, label="topics").task.labels == ("a", "b")


@pytest.mark.parametrize("name", ["text", "label"])
def test_an_object_where_other_rows_hold_a_text_is_not_missing(json_file: File, name: str) -> None:
    rows = [dict(zip(("text", "label"), row)) for row in ROWS]
    for row in rows[::3]:
        row[name] = {"en": row[name]}
    if name == "label":
        with pytest.raises(DataError, match="object in 20"):
            read(json_file(rows))
    else:
        assert "with a list or an object instead of a text" in finding(read(json_file(rows)), "malformed").message


def test_answers_that_an_annotator_rejected_are_pointed_at(json_file: File) -> None:
    answers = ["accept", "reject", "ignore"]
    rows = [{"text": text, "label": "ab"[at % 2], "answer": answers[at % 3]} for at, (text, _) in enumerate(ROWS)]
    assert "annotators did not accept" in finding(read(json_file(rows)), "answer").message
    assert "answer" not in kinds(read(json_file([{**row, "answer": "accept"} for row in rows])))
    alone = [{**row, "label": "COMPLAINT", "answer": answers[n % 2]} for n, row in enumerate(rows)]
    with pytest.raises(DataError, match=r"only one class.*by --label answer\.$"):
        read(json_file(alone))


@pytest.mark.parametrize("name", ["train", "test"])
def test_a_flag_called_like_a_split_is_pointed_at(csv_file: File, name: str) -> None:
    rows = [[*row, at % 4 > 0] for at, row in enumerate(ROWS)]
    data = read(csv_file(rows, header=("text", "label", name)))
    assert f"call it is_{name}" in finding(data, "split").message


def test_rows_of_questions_below_the_header(csv_file: File) -> None:
    ids = ['{"ImportId":"QID1_TEXT"}', '{"ImportId":"QID2"}']
    data = read(csv_file([["Tell us", "How was it?"], ids, *ROWS], header=("Q1", "Q2")), text="Q1", label="Q2")
    assert all_of(data) == EXPECTED
    assert "Qualtrics" in finding(data, "header").message


def test_options_below_the_header(csv_file: File) -> None:
    """SurveyMonkey: a question with several columns stands above the first of them, its options below it."""
    rows = [[at, *row, "Phone", "Mail" if at % 2 else ""] for at, row in enumerate(ROWS)]
    options = ["", "Open-Ended Response", "Response", "Phone", "Mail"]
    data = read(csv_file([options, *rows], header=("Respondent ID", "Q1", "Q2", "Q3", "")), text="Q1", label="Q2")
    assert all_of(data) == EXPECTED
    assert "SurveyMonkey" in finding(data, "header").message
    table = Delimited(csv_file([options, *rows], header=("Respondent ID", "Q1", "Q2", "Q3", "")))
    assert table.header == ["Respondent ID", "Q1", "Q2", "Q3", "Q3: Mail"]


@pytest.mark.parametrize("write", [json.dumps, str, lambda items: str(np.array(items))])
def test_cells_that_hold_lists_of_words_and_tags(csv_file: File, write: Callable[[list[str]], str]) -> None:
    words = [str(text).split() for text, _ in ROWS]
    tags = [["B-FOOD" if len(word) < 6 else "O" for word in each] for each in words]
    file = csv_file([[write(a), write(b)] for a, b in zip(words, tags)], header=("tokens", "ner_tags"))
    data = read(file)
    assert (data.task.kind, data.task.labels) == ("tagging", ("O", "B-FOOD"))
    assert data.record.rows_used == 60
    with pytest.raises(DataError, match="repeat within a row, as the tags of words do"):
        read(csv_file([[text, write(b)] for (text, _), b in zip(ROWS, tags)], header=("text", "tag")), label="tag")
    if write is not json.dumps:
        return
    file = csv_file([[write(each)] for each in words], "new.csv", header=("tokens",))
    found = [row.value for row in stream([str(file)], "text_words", None, {"text": "tokens"}, Findings())]
    assert [list(Words(str(value)).each) for value in found] == words


@pytest.mark.parametrize(
    "title",
    ["Report of 2024\n\n", "Report of 2024\nmade today\n\n\n", "Report of 2024,,\n,,\n", "Report,,\nfrom,2024,\n,,\n"],
)
def test_a_title_above_the_header_is_passed_over(tmp_path: Path, title: str) -> None:
    rows = [[at + 1, *row] for at, row in enumerate(ROWS)]
    data = read(written(tmp_path / "a.csv", title + "id,text,label\n" + lines(rows)))
    assert all_of(data) == EXPECTED
    assert "read as a title" in finding(data, "header").message
    assert any(place.startswith("a.csv:1") for place in finding(data, "header").examples)


@pytest.mark.parametrize("sign", [",", ";"])
@pytest.mark.parametrize("title", ["Reviews of 2024\n", "Reviews,\n", "Report: reviews\nDate: May\n"])
def test_a_title_directly_above_the_header_is_passed_over(tmp_path: Path, title: str, sign: str) -> None:
    data = read(written(tmp_path / "a.csv", title.replace(",", sign) + f"text{sign}label\n" + lines(ROWS, sign)))
    assert all_of(data) == EXPECTED
    assert finding(data, "header").count == title.count("\n")
    head = f"Kommentar{sign}Urteil\n"
    data = read(written(tmp_path / "a.csv", "Reviews of 2024\n" + head + lines(ROWS, sign)))
    assert data.record.columns == {"text": "Kommentar", "label": "Urteil"}


@pytest.mark.parametrize("head", ["Comments of guests", "comment", "my notes,"])
def test_rows_below_a_short_header_are_no_names(tmp_path: Path, head: str) -> None:
    """Texts with a comma each, or with a last cell that has no name, and all of them different."""
    rows = [f"{text[:6]} soup, {text[7:13]} tea {at}\n" for at, (text, _) in enumerate(texts(30))]
    assert Delimited(written(tmp_path / "a.csv", head + "\n" + "".join(rows))).header[0] == head.rstrip(",")


@pytest.mark.parametrize(
    "head", ["text,label\n\n", ",text,label\n", '"te\n\nxt",label\n', "text,label,\n"],
)  # fmt: skip
def test_a_header_is_no_title(tmp_path: Path, head: str) -> None:
    rows = [["" if head[0] == "," else None, *row, "" if head[-2] == "," else None] for row in ROWS]
    rows = [[cell for cell in row if cell is not None] for row in rows]
    data = read(written(tmp_path / "a.csv", head + lines(rows)), label="label")
    assert all_of(data) == EXPECTED
    assert "header" not in kinds(data)


def test_a_column_called_by_a_hash_is_no_comment(tmp_path: Path) -> None:
    rows = [[f"x{at}", *row] for at, row in enumerate(ROWS)]
    data = read(written(tmp_path / "a.csv", "#,text,label\n" + lines(rows)), group="#")
    assert all_of(data) == EXPECTED
    assert "header" not in kinds(data)


def test_a_header_again_in_other_letters_is_no_row(tmp_path: Path) -> None:
    data = read(written(tmp_path / "a.csv", "text,label\n" + lines(ROWS[:30]) + "Text,LABEL\n" + lines(ROWS[30:])))
    assert all_of(data) == EXPECTED
    assert finding(data, "header").examples == ("a.csv:32",)


def test_a_delimiter_at_the_end_of_rows_alone_is_no_name_of_a_row(tmp_path: Path) -> None:
    data = read(written(tmp_path / "a.csv", "text,label\n" + "".join(f"w{at},{'ab'[at % 2]},\n" for at in range(40))))
    assert all_of(data) == {f"w{at}": "ab"[at % 2] for at in range(40)}


def test_cells_apart_by_blanks_are_called_so(tmp_path: Path) -> None:
    text = '"text" "label"\n' + "".join(f'"{at}" "{text}" "{label}"\n' for at, (text, label) in enumerate(ROWS))
    with pytest.raises(DataError, match="blanks separate the cells"):
        read(written(tmp_path / "a.csv", text))


def test_a_column_without_a_name_is_said(csv_file: File) -> None:
    data = read(csv_file([[at, *row] for at, row in enumerate(ROWS)], header=("", "text", "label")))
    assert "without a name in the header: unnamed 1" in data.record.understood[1]
    file = csv_file([[at, *row, 1] for at, row in enumerate(ROWS)], header=("", "text", "label", "unnamed 1"))
    assert Delimited(file).header[0] == "unnamed 1 again"


def test_lines_that_end_in_a_carriage_return_have_each_their_encoding(tmp_path: Path) -> None:
    rows = [
        f"{text} caf\u00e9,{label}\r".encode("cp1252" if at % 2 else "utf-8") for at, (text, label) in enumerate(ROWS)
    ]
    data = read(written(tmp_path / "a.csv", b"text,label\r" + b"".join(rows)))
    assert all(text.endswith(" caf\u00e9") for text in all_of(data))
    assert finding(data, "encoding").count == 30


@pytest.mark.parametrize("by", ["rows", "columns"])
def test_pandas_with_names_of_rows(tmp_path: Path, by: str) -> None:
    """`df.set_index("id").to_json()`, also with orient="index"."""
    rows = {f"id{at}": {"text": text, "label": label} for at, (text, label) in enumerate(ROWS)}
    columns = {name: {key: row[name] for key, row in rows.items()} for name in ("text", "label")}
    assert all_of(read(written(tmp_path / "a.json", json.dumps(rows if by == "rows" else columns)))) == EXPECTED


def test_other_shapes_of_json(tmp_path: Path) -> None:
    rows = [{"text": text, "label": label} for text, label in ROWS]
    assert all_of(read(written(tmp_path / "a.jsonl", "".join(map(json.dumps, rows))))) == EXPECTED
    with pytest.raises(DataError, match="lists without names of columns"):
        read(written(tmp_path / "b.json", json.dumps(ROWS)))
    with pytest.raises(DataError, match="holds JSON"):
        read(written(tmp_path / "c.csv", json.dumps(rows, indent=1)))


def test_names_of_columns_are_matched_by_their_looks(csv_file: File) -> None:
    file = csv_file(ROWS, header=("Your\nview", "Gefu\u0308hl\u200b"))
    assert all_of(read(file, text="Your view", label="Gef\u00fchl")) == EXPECTED


def test_columns_that_differ_in_case_are_asked_for(csv_file: File) -> None:
    file = csv_file([[str(row[0]).upper(), *row] for row in ROWS], header=("Text", "text", "label"))
    with pytest.raises(DataError, match="Text and text could each be the input"):
        read(file)
    file = csv_file([[*row, "xy"[at % 2]] for at, row in enumerate(ROWS)], header=("text", "Label", "label"))
    with pytest.raises(DataError, match="Label and label could each be the label"):
        read(file)


def test_a_wide_table_is_not_listed_whole(csv_file: File) -> None:
    file = csv_file([[row[0], *(at * each % 2 for each in range(300))] for at, row in enumerate(ROWS)],
                    header=("text", *(f"f{each}" for each in range(300))))  # fmt: skip
    with pytest.raises(DataError, match="281 more") as error:
        read(file)
    assert len(str(error.value)) < 1_000


def test_a_test_file_without_labels_says_what_to_do(tmp_path: Path, csv_file: File) -> None:
    csv_file(ROWS, "train.csv")
    csv_file([row[:1] for row in ROWS], "test.csv", header=("text",))
    with pytest.raises(DataError, match="give the training file alone, and this one to headstart predict"):
        read(tmp_path)


def test_words_for_a_missing_text_are_pointed_at(csv_file: File) -> None:
    file = csv_file([*ROWS, ["nan", "bad"], ["#N/A", "good"]])
    assert finding(read(file), "empty").count == 2
    list(stream([str(file)], "text", None, {}, found := Findings()))
    assert found.count("empty") == 2, "predictions too"
