"""Lines that begin with # above a table: first rows and headers are kept as written, comments are named."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_data import finding, kinds, texts

from headstart.data.audit.findings import Findings
from headstart.data.ingest.unlabelled import columns_of, stream
from headstart.data.read import read
from headstart.data.tables.layout import find
from headstart.data.tables.tabular import Delimited

ROWS = texts(60, ("bad", "good", "fair"))


def written(path: Path, head: str, sign: str, rows: list[list[object]]) -> Path:
    path.write_text(head + "".join(sign.join(map(str, row)) + "\n" for row in rows))
    return path


@pytest.mark.parametrize("first", [1, 3])
def test_first_rows_that_begin_with_hashtags_are_rows(tmp_path: Path, first: int) -> None:
    rows = [[f"#MeToo {text}" if at < first else text, label] for at, (text, label) in enumerate(ROWS)]
    data = read(file := written(tmp_path / "a.tsv", "", "\t", rows))
    assert data.record.rows_used == 60
    found = [row.value for row in stream([str(file)], "text", "column 1", {}, Findings())]
    assert found == [text for text, _ in rows]


@pytest.mark.parametrize(
    "names",
    [["# of stars", "review text"], ["# Ticket", "Kommentar"], ["#1 note", "text"], ["#", "Text"], ["#id", "x"]],
)
@pytest.mark.parametrize("comment", ["", "# exported by Ann, Bob, and Eve\n"])
def test_a_header_that_begins_with_a_hash_keeps_its_names(tmp_path: Path, names: list[str], comment: str) -> None:
    rows = [[at % 5 + 1, text] for at, (text, _) in enumerate(ROWS)]
    file = written(tmp_path / "a.csv", comment + ",".join(names) + "\n", ",", rows)
    table = Delimited(file)
    assert table.header == names
    assert columns_of([str(file)]) == names
    assert read(file, text=names[1], label=names[0]).record.rows_used == 60


def test_names_with_a_hash_inside_are_accepted_as_written_and_without_it(tmp_path: Path) -> None:
    """As MRPC of GLUE has them."""
    names = ["Quality", "#1 ID", "#2 ID", "#1 String", "#2 String"]
    rows = [[at % 2, 7000 + at, 8000 + at, text, f"{text} again"] for at, (text, _) in enumerate(ROWS)]
    file = written(tmp_path / "a.tsv", "\t".join(names) + "\n", "\t", rows)
    for text in ("#1 String,#2 String", "1 String,2 String"):
        assert read(file, text=text, label="Quality").record.columns["text_b"] == "#2 String"


def test_a_commented_header_still_names_the_roles(tmp_path: Path) -> None:
    data = read(written(tmp_path / "a.csv", "#text,label\n", ",", ROWS))
    assert data.record.columns == {"text": "#text", "label": "label"}
    assert "header" not in kinds(data)


def test_comments_are_named_by_their_lines(tmp_path: Path) -> None:
    data = read(written(tmp_path / "a.csv", "# of Ann, 2024\n# all guests\ntext,label\n", ",", ROWS))
    assert data.record.rows_used == 60
    assert finding(data, "header").examples == ("a.csv:1", "a.csv:2")


def test_hash_lines_of_one_column() -> None:
    tweets = ["#MeToo is what she said\n", "#Brexit is on again now\n", "nothing is new this day\n"]
    layout = find(tweets, ",")
    assert layout is not None
    assert (layout.skipped, layout.headless) == (0, True)
    layout = find(["# of Ann\n", "#more\n", "text\n", *tweets], ",")
    assert layout is not None
    assert (layout.skipped, layout.header) == (2, ["text"])
