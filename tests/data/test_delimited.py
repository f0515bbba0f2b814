"""Delimited texts: what a spreadsheet or pandas wrote is read back equal, and what breaks the rules is pointed at."""

from __future__ import annotations

import csv
import gzip
import io
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headstart.core.errors import DataError
from headstart.data.audit.findings import Findings
from headstart.data.tables.tabular import Delimited

LABELS = ("food", "drink")


def rows_of(path: Path) -> tuple[list[list[str]], Findings]:
    """All rows as cells, or [problem] for those that can't be read."""
    table, findings, rows = Delimited(path), Findings(), []
    for chunk in table.chunks(table.header, findings):
        for at in range(len(chunk.places)):
            problem = chunk.problems.get(at)
            rows.append([str(problem)] if problem else [chunk.columns[name][at] for name in table.header])
    return rows, findings


def written(path: Path, content: str | bytes) -> tuple[list[list[str]], Findings]:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return rows_of(path)


SIGNS = st.characters(codec="utf-8", exclude_categories=("Cs", "Cc", "Cn"), include_characters='\n\t",;|\\#')
TEXT = st.text(SIGNS, min_size=1, max_size=30).map(lambda text: f"w{text}w")  # blanks at the ends are no matter here


@settings(max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    texts=st.lists(TEXT, min_size=3, max_size=12),
    delimiter=st.sampled_from(",;\t|"),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
    end=st.sampled_from(["\n", "\r\n"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"]),
    order=st.permutations([0, 1, 2]),
    excel=st.booleans(),
)
def test_what_csv_writes_is_read_back(
    tmp_path: Path,
    texts: list[str],
    delimiter: str,
    quoting: int,
    end: str,
    encoding: str,
    order: list[int],
    excel: bool,
) -> None:
    rows = [[str(at), text, LABELS[at % 2]] for at, text in enumerate(texts)]
    table = [[row[at] for at in order] for row in rows]
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=delimiter, quoting=quoting, lineterminator=end)  # type: ignore[arg-type]
    writer.writerows([[("id", "text", "label")[at] for at in order], *table])
    sep = f"sep={delimiter}{end}" if excel else ""
    path = tmp_path / "data.csv"
    path.write_bytes((sep + out.getvalue()).encode(encoding))
    found, findings = rows_of(path)
    assert found == table
    assert not findings.records()


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("sign", ["\ue000", "\u0100", "\u2000", "\u200b", "\u202e", "\uf8ff"])
def test_utf_16_without_a_mark_whatever_its_signs(tmp_path: Path, encoding: str, sign: str) -> None:
    """Signs with a zero byte on the other side, private ones, and those that print nothing."""
    for count in (1, 4, 9):
        content = f"text,label\ntea{count * sign}was fine,good\nsoup was cold,bad\n"
        rows, findings = written(tmp_path / "data.csv", content.encode(encoding))
        assert rows == [[f"tea{count * sign}was fine", "good"], ["soup was cold", "bad"]]
        assert not findings.records()


def test_one_null_byte_costs_nothing_but_itself(tmp_path: Path) -> None:
    rows, findings = written(tmp_path / "data.csv", b"text,label\ntea was fine,good\nso\0up was cold,bad\n")
    assert rows == [["tea was fine", "good"], ["soup was cold", "bad"]]
    assert findings.places("encoding") == ["data.csv:3"]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    texts=st.lists(
        st.text(st.sampled_from('ab "'), min_size=1, max_size=12).map("w{}w".format), min_size=6, max_size=20
    ),
    opened=st.lists(st.integers(0, 19), min_size=1, max_size=3),
    closed=st.lists(st.integers(0, 19), max_size=2),
    delimiter=st.sampled_from(",\t;"),
    order=st.permutations([0, 1]),
)
def test_lone_quotes_swallow_no_row(
    tmp_path: Path, texts: list[str], opened: list[int], closed: list[int], delimiter: str, order: list[int]
) -> None:
    """Written without quoting: texts that begin with a quote, hold some, or end in one (5")."""
    texts = [('"' if at in opened else "") + text + ('"' if at in closed else "") for at, text in enumerate(texts)]
    table = [[(text, LABELS[at % 2])[place] for place in order] for at, text in enumerate(texts)]
    body = "\n".join(delimiter.join(row) for row in [[("text", "label")[place] for place in order], *table])
    found, findings = written(tmp_path / "data.csv", body)
    assert len(found) == len(table)
    wrong = [at for at, (row, right) in enumerate(zip(found, table)) if row != right]
    quoted = [at for at, text in enumerate(texts) if text.startswith('"') and text.endswith('"')]
    assert set(wrong) <= set(quoted), "only a text in quotes as a whole may lose them"
    lone = [at for at, text in enumerate(texts) if text.startswith('"') and at not in quoted]
    assert findings.count("quote") >= len(lone)


def test_a_lone_quote_is_pointed_at(tmp_path: Path) -> None:
    lines = [f"tea number {at} was fine,{LABELS[at % 2]}" for at in range(120)]
    lines[20], lines[40] = '"soup was cold,food', '"and then, nothing",drink'
    lines[60] = '"more soup,drink'
    lines[63] = 'a screen of 5",food'
    rows, findings = written(tmp_path / "data.csv", "\n".join(["text,label", *lines]))
    assert len(rows) == 120
    assert rows[20] == ['"soup was cold', "food"]
    assert rows[40] == ["and then, nothing", "drink"]
    assert rows[63] == ['a screen of 5"', "food"]
    assert findings.places("quote") == ["data.csv:22", "data.csv:62"]


def test_a_ragged_row_lets_no_quote_swallow_a_tsv(tmp_path: Path) -> None:
    lines = [f'"open {at} never closed\t{at % 2}' for at in range(30)]
    lines[7] += "\tand a third cell"
    rows, _ = written(tmp_path / "data.tsv", "\n".join(["sentence\tlabel", *lines]))
    assert len(rows) == 30
    assert sum("cells than the header" in row[0] for row in rows) == 1


def test_texts_over_several_lines_stay_one_cell(tmp_path: Path) -> None:
    poem = '"Roses are red, darling\nviolets are blue",love\n"a, b\n\nc ""d""\n",war\n'
    rows, findings = written(tmp_path / "data.csv", "text,label\n" + poem * 5)
    assert rows[:2] == [["Roses are red, darling\nviolets are blue", "love"], ['a, b\n\nc "d"\n', "war"]]
    assert len(rows) == 10
    assert not findings.records()


def test_one_column_whose_lines_could_be_rows_is_pointed_at(tmp_path: Path) -> None:
    rows, findings = written(tmp_path / "data.csv", 'text\n"soup was cold\ntea was nice\na screen of 5"\n')
    assert len(rows) == 1
    assert findings.places("quote") == ["data.csv:2"]
    rows, _ = written(tmp_path / "data.csv", 'text\n"soup was cold\ntea was nice\n"coffee, too\n')
    assert rows == [['"soup was cold'], ["tea was nice"], ['"coffee, too']]


def test_quotes_inside_of_quotes_that_are_not_doubled(tmp_path: Path) -> None:
    body = 'text,label\n"He said "hi, you" to me",food\n"so ""what"", then",drink\n"a "b"",food\n'
    rows, findings = written(tmp_path / "data.csv", body)
    assert [row[0] for row in rows] == ['He said "hi, you" to me', 'so "what", then', 'a "b"']
    assert findings.places("quote") == ["data.csv:2", "data.csv:4"]
    rows, findings = written(tmp_path / "data.csv", 'text,label\n"He said \\"hi, you\\" to me",food\n"ok",drink\n')
    assert rows[0][0] == 'He said "hi, you" to me'
    assert not findings.records(), "quotes escaped by backslashes are a dialect"


@pytest.mark.parametrize(
    ("head", "delimiter", "names", "first"),
    [
        ("text;label, final\nreally bad, food;neg\ngood, yes;pos\n", ";", ["text", "label, final"], "really bad, food"),
        ("text|label\na, b|x\nc; d|y\n", "|", ["text", "label"], "a, b"),
        ("sep=;\ntext,label;n\na,b;1\nc,d;2\n", ";", ["text,label", "n"], "a,b"),
        ('text, label\ngood, "x"\nbad, "y"\n', ",", ["text", "label"], "good"),
        ('text, label, n\nr, "a, b", 1\ns, "c, d, e", 2\n', ",", ["text", "label", "n"], "r"),
        ("# written by x, 2024\n# more\ntext,label\na b,x\nc d,y\n", ",", ["text", "label"], "a b"),
        ("#text,label\na b,x\nc d,y\n", ",", ["#text", "label"], "a b"),
        ("text\nwell, that was it\nno, really, no\n", "", ["text"], "well, that was it"),
        ("text\tlabel\nr1\ta b\tx\nr2\tc d\ty\nr3\te f\ty\n", "\t", ["unnamed 1", "text", "label"], "r1"),
        (",text,label\n0,a b,x\n1,c d,y\n", ",", ["unnamed 1", "text", "label"], "0"),
        ("text,label,,\na b,x,,\nc d,y,,\n", ",", ["text", "label", "unnamed 3", "unnamed 4"], "a b"),
    ],
)
def test_the_layout_is_found_from_all_rows(
    tmp_path: Path, head: str, delimiter: str, names: list[str], first: str
) -> None:
    rows, _ = written(tmp_path / "data.csv", head)
    table = Delimited(tmp_path / "data.csv")
    assert (table.layout.dialect.delimiter, table.header, rows[0][0]) == (delimiter, names, first)


@pytest.mark.parametrize(
    "body",
    [
        "good soup it was,pos\nbad,neg\ncold tea,pos\nmm,neg\n",
        "1,good\n2,bad\n3,cold\n",
        "what a nice day it is\nno\nyes\n",
    ],
)
def test_a_missing_header_costs_no_row(tmp_path: Path, body: str) -> None:
    rows, findings = written(tmp_path / "data.csv", body)
    assert [",".join(row) for row in rows] == body.splitlines()
    assert findings.places("header") == ["data.csv:1"]


@pytest.mark.parametrize(
    "body",
    ["msg,spam\n" + "a long text about something or other,spam\nanother long text about a thing,ham\n" * 4,
     "text,label\ntext,a\ntext,b\n", "0,1,2,label\n1,2,3,4\n5,6,7,8\n"],
)  # fmt: skip
def test_a_header_that_is_there_is_no_row(tmp_path: Path, body: str) -> None:
    rows, findings = written(tmp_path / "data.csv", body)
    assert len(rows) == body.count("\n") - 1
    assert not findings.records()


def test_line_ends_and_encodings(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    rows, findings = written(path, "text,label\ra b,x\rc d,y\r")
    assert (rows, findings.records()) == ([["a b", "x"], ["c d", "y"]], ())
    assert written(path, "text,label\na b,x\r\nc d,y\re f,z\n")[0] == [["a b", "x"], ["c d", "y"], ["e f", "z"]]
    rows, findings = written(path, "text,label\ncaf\xe9 \x80,x\nna\xefve,y\n".encode("latin-1"))
    assert rows[1] == ["na\xefve", "y"]
    assert rows[0] == ["caf\xe9 \u20ac", "x"], "0x80 is the euro sign in Windows-1252"
    assert findings.places("encoding") == ["data.csv:2", "data.csv:3"]
    rows, findings = written(path, "text,label\ncaf\xe9,x\n".encode() + b"\xe9t\xc3\xa9,y\n")
    assert rows == [["caf\xe9", "x"], ["\ufffdt\xe9", "y"]], "damaged UTF-8 is no Latin-1"
    rows, findings = written(path, "text,label\n" + "a b,x\n" * 400 + "c\0d,y\n")
    assert rows[-1] == ["cd", "y"]
    assert findings.places("encoding") == ["data.csv:402"]
    rows, _ = written(path, gzip.compress(b"text,label\na,x\n"))
    assert rows == [["a", "x"]], "packed, whatever the name says"


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"\n<!DOCTYPE html>\n<html><body>Sign in</body></html>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 12\n", "git-lfs pointer"),
        (b"PK\x03\x04[Content_Types].xml", "Excel sheet"),
        (b"BZh91AY", "bz2 archive"),
        (b"PAR1....", r"extension \.parquet"),
        (b'{"text": "a", "label": "x"}\n', r"extension \.jsonl"),
        (bytes(range(256)) * 9, "binary data"),
    ],
)
def test_what_is_no_table_is_named(tmp_path: Path, content: bytes, named: str) -> None:
    (tmp_path / "data.csv").write_bytes(content)
    with pytest.raises(DataError, match=named):
        Delimited(tmp_path / "data.csv")


def test_a_header_that_comes_again_is_no_row(tmp_path: Path) -> None:
    rows, findings = written(tmp_path / "data.csv", "text,label\na,x\ntext,label\nb,y\n")
    assert rows == [["a", "x"], ["b", "y"]]
    assert findings.places("header") == ["data.csv:3"]


@pytest.mark.parametrize("sign", [",", "\t", ";"])
@pytest.mark.parametrize("escaped", ["", '"say \\"a\\" twice"'])
def test_a_database_s_null_is_an_empty_cell(tmp_path: Path, sign: str, escaped: str) -> None:
    r"""MySQL and PostgreSQL write `\N`; where backslashes escape quotes too it was read as the class N."""
    lines = [("text", "label"), (escaped or "first", "x"), ("second", "\\N"), ("\\N", "\\N"), ("C:\\New, or not", "x")]
    quoted = [(f'"{a}"' if sign in a else a, b) for a, b in lines]
    rows, findings = written(tmp_path / "data.csv", "".join(f"{a}{sign}{b}\n" for a, b in quoted))
    assert [row[1] for row in rows] == ["x", "", "", "x"]
    assert [row[0] for row in rows[:3]] == ['say "a" twice' if escaped else "first", "second", ""]
    assert not findings.records()


@pytest.mark.parametrize(
    "body",
    ["| text | label |\n|:---|---:|\n| a | x |\n| b | y |\n", " text | label\n------+-------\n a | x\n b | y\n"],
)
def test_a_rule_below_the_header_is_no_row(tmp_path: Path, body: str) -> None:
    rows, findings = written(tmp_path / "data.csv", body)
    assert [[cell.strip() for cell in row if cell.strip()] for row in rows] == [["a", "x"], ["b", "y"]]
    assert findings.places("header") == ["data.csv:2"]
    assert len(findings.records()) == 1
    assert len(written(tmp_path / "data.csv", "text,label\na b,x\n---,---\n")[0]) == 2, "elsewhere it is a row"


def test_a_row_of_empty_cells_between_tabs_is_a_row(tmp_path: Path) -> None:
    """`predict` gives one row out for each row in, and a line of tabs was taken for an empty line."""
    rows, _ = written(tmp_path / "data.tsv", "id\ttext\n1\ta b\n\t\n\n3\tc d\n")
    assert rows == [["1", "a b"], ["", ""], ["3", "c d"]]


@pytest.mark.parametrize(
    ("encoding", "names", "texts"),
    [
        ("gbk", ("好评", "差评", "中性", "最高", "最低", "良", "坏"), ("这部电影很好看", "电影", "很好")),
        ("shift_jis", ("最高", "最低", "中立", "良", "悪", "普通", "否定"), ("映画", "映画、最高。", "とても良い")),
        ("cp866", ("да", "нет", "хорошо", "плохо"), ("фильм", "Это Был Фильм", "Ну и ну")),
    ],
)
def test_names_in_other_encodings_stay_apart(
    tmp_path: Path, encoding: str, names: tuple[str, ...], texts: tuple[str, ...]
) -> None:
    body = "".join(f"{text},{name}\n" for name in names for text in texts)
    rows, findings = written(tmp_path / "data.csv", ("text,label\n" + body).encode(encoding))
    assert len({row[1] for row in rows}) == len(names), "neither merged nor split"
    assert findings.places("encoding")
