"""`predict` on files: the user's columns stay, a bad row is a row with its error, nothing is overwritten unasked."""

from __future__ import annotations

import csv
import gzip
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cli.calling import Call, call, images


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as opened:
        return list(csv.DictReader(opened))


def test_the_user_s_columns_stay_and_a_bad_row_is_a_row(text_run: Call, tmp_path: Path) -> None:
    file, out = tmp_path / "new.csv", tmp_path / "out.csv"
    file.write_text(
        'id,text,date\n7,"a good film, really",2020-01-02\n8,,2020-01-03\n9,a bad film,2020-01-04\n', "utf-8"
    )
    done = call("predict", text_run.folder, file, "-o", out).expect(4)
    assert "2 predictions in" in done.err
    assert "1 row could not be used" in done.err
    found = rows(out)
    assert list(found[0]) == ["id", "text", "date", "prediction", "confidence", "error"]
    assert [row["id"] for row in found] == ["7", "8", "9"]
    assert [row["text"] for row in found] == ["a good film, really", "", "a bad film"]
    assert [row["error"] for row in found] == ["", "new.csv:3: without text", ""]
    assert (found[1]["prediction"], found[1]["confidence"]) == ("", "")
    assert all(row["prediction"] in ("no", "yes") and 0.5 <= float(row["confidence"]) <= 1 for row in found[::2])
    assert stat.S_IMODE(out.stat().st_mode) == 0o666 & ~_umask()
    alone = call("predict", text_run.folder, "a bad film", "--json").expect(0)
    assert json.loads(alone.out)["confidence"] == pytest.approx(float(found[2]["confidence"]), abs=1e-5)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_nothing_is_overwritten_unasked(text_run: Call, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    out.write_text("mine")
    call("predict", text_run.folder, "a film", "-o", out).refused("exists; give --overwrite")
    call("predict", text_run.folder, "a film", "--out", tmp_path).refused("ends in .csv")
    assert out.read_text() == "mine"
    done = call("predict", text_run.folder, "a film", "-o", out, "--overwrite").expect(0)
    assert done.err.splitlines()[-1] == f"1 prediction in {out}"
    assert len(rows(out)) == 1
    call("predict", text_run.folder, tmp_path / "none.csv", "-o", tmp_path / "new.csv").refused("there is no file")
    assert not (tmp_path / "new.csv").exists()


FORMS = [".csv", ".csv.gz", ".tsv", ".jsonl", ".jsonl.gz", ".parquet"]


@pytest.mark.parametrize("form", FORMS)
def test_formats_in_and_out(form: str, text_run: Call, tmp_path: Path) -> None:
    """What is written can be read again, with the same answers and a second set of columns."""
    table = pa.table({"id": [1, 2], "text": ["a good film", "a bad film"], "when": ["x", None]})
    pq.write_table(table, tmp_path / "in.parquet")
    out = tmp_path / f"out{form}"
    call("predict", text_run.folder, tmp_path / "in.parquet", "-o", out).expect(0)
    if form == ".parquet":
        assert pq.read_schema(out).field("id").type == pa.int64()
    if form == ".jsonl.gz":
        first = json.loads(gzip.decompress(out.read_bytes()).splitlines()[0])
        assert (first["id"], first["when"]) == (1, "x")
    again = tmp_path / "again.jsonl"
    call("predict", text_run.folder, out, "-o", again).expect(0)
    for line in again.read_text().splitlines():
        told = json.loads(line)
        assert list(told)[:3] == ["id", "text", "when"]
        assert told["prediction"] == told["prediction_2"]
        assert float(told["confidence"]) == pytest.approx(told["confidence_2"], abs=1e-5)


def test_formulas_and_rows_to_check(text_run: Call, tmp_path: Path) -> None:
    file = tmp_path / "new.csv"
    file.write_text('text,=x\n"=1+1",-5\n"@SUM(A1)",+a\n')
    call("predict", text_run.folder, file, "-o", tmp_path / "plain.csv").expect(0)
    assert [row["text"] for row in rows(tmp_path / "plain.csv")] == ["=1+1", "@SUM(A1)"]
    call("predict", text_run.folder, file, "--safe-csv", "--below", "1", "-o", tmp_path / "safe.csv").expect(0)
    found = rows(tmp_path / "safe.csv")
    assert [row["text"] for row in found] == ["'=1+1", "'@SUM(A1)"]
    assert [row["'=x"] for row in found] == ["-5", "'+a"]  # a number stays one
    assert {row["check"] for row in found} == {"yes"}
    call("predict", text_run.folder, file, "--below", "0", "-o", tmp_path / "sure.csv").expect(0)
    assert {row["check"] for row in rows(tmp_path / "sure.csv")} == {"no"}


def test_what_the_reader_noted_is_shown(text_run: Call, tmp_path: Path) -> None:
    latin, headless = tmp_path / "latin.csv", tmp_path / "headless.csv"
    latin.write_bytes("text\nun café\n".encode("latin-1"))
    assert "latin.csv" in call("predict", text_run.folder, latin).expect(0).err
    headless.write_text("a good film\na bad film\n")
    call("predict", text_run.folder, headless).refused("has no column 'text'", "put the line text above it")


def test_halves_of_surrogates_and_broken_lines(text_run: Call, tmp_path: Path) -> None:
    file = tmp_path / "new.jsonl"
    file.write_text(
        '{"text": "soup \\ud83d", "id": "\\ud83d"}\n{"text": [1]}\nnot json\n{"text": "tea"}\n{"text": null}\n'
    )
    for form in ("out.csv", "out.jsonl", "out.parquet"):
        call("predict", text_run.folder, file, "-o", tmp_path / form).expect(4)
    told = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text("utf-8").splitlines()]
    assert [bool(row["error"]) for row in told] == [False, True, True, False, True]
    assert [row["error"].partition(": ")[0] for row in told if row["error"]] == [f"new.jsonl:{n}" for n in (2, 3, 5)]
    assert pq.read_table(tmp_path / "out.parquet").num_rows == 5


def test_broken_images_are_rows_with_an_error(image_run: Call, tmp_path: Path) -> None:
    folder = images(tmp_path / "photos", 6)
    whole = sorted(folder.rglob("*.png"))
    whole[1].write_bytes(whole[1].read_bytes()[:60])
    whole[4].write_text("no image")
    (folder / "._0.png").write_text("of a Mac")
    (folder / ".ipynb_checkpoints").mkdir()
    (folder / ".ipynb_checkpoints" / "0.png").write_bytes(whole[0].read_bytes())
    done = call("predict", image_run.folder, folder, "-o", tmp_path / "out.csv").expect(4)
    found = rows(tmp_path / "out.csv")
    assert [row["input"] for row in found] == [str(path) for path in whole]
    assert [bool(row["error"]) for row in found] == [path in (whole[1], whole[4]) for path in whole]
    assert all(row["prediction"] in ("red", "blue") for row in found if not row["error"])
    assert str(whole[1]) in found[1]["error"]
    assert "4 predictions in" in done.err
    (tmp_path / "list.csv").write_text(
        "file_name,id\n" + "".join(f"photos/{p.parent.name}/{p.name},{p.stem}\n" for p in whole)
    )
    call("predict", image_run.folder, tmp_path / "list.csv", "-o", tmp_path / "listed.csv").expect(4)
    listed = rows(tmp_path / "listed.csv")
    assert [row["file_name"] for row in listed] == [f"photos/{p.parent.name}/{p.name}" for p in whole]
    assert [row["prediction"] for row in listed] == [row["prediction"] for row in found]


def test_a_run_s_number(text_run: Call) -> None:
    from headstart.core.disk.history import entry

    number = entry(str(text_run.folder)).number
    by_number = call("predict", number, "a good film").expect(0)
    assert by_number.out == call("predict", text_run.folder, "a good film").expect(0).out
    call("predict", "99999", "a good film").refused("there is no run '99999'")


def test_classes_that_an_encoding_lacks_stay_two(text_run: Call, tmp_path: Path) -> None:
    code = (
        "import sys; from headstart.cli import answering as p\n"
        "with p.output(None, sys.stdout, ['a'], AS_JSON, False) as write:\n"
        "    write([{'a': '\\U0001f600'}, {'a': '\\U0001f621'}])"
    )
    for as_json, wanted in (("False", ["a", r"\U0001f600", r"\U0001f621"]), ("True", [r'{"a": "\ud83d\ude00"}'])):
        done = subprocess.run(
            [sys.executable, "-c", code.replace("AS_JSON", as_json)], check=True, capture_output=True,
            env={**os.environ, "PYTHONIOENCODING": "cp1252"},
        )  # fmt: skip
        assert done.stdout.decode("cp1252").splitlines()[: len(wanted)] == wanted
