"""Running text: what is read as a paragraph, from which files, and what is refused."""

from __future__ import annotations

import gzip
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headstart.core.errors import DataError
from headstart.core.progress import Silent
from headstart.data.audit.findings import Findings
from headstart.data.corpus.corpus import AT_ONCE, CHARACTERS, Corpus, together


def texts(*sources: Path, text: str | None = None) -> list[str]:
    return list(Corpus(tuple(map(str, sources)), text).paragraphs())


def test_a_line_is_a_paragraph_packed_or_not(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("One  line.\n\n  Zwei Zeilen – ja. \r\n", encoding="utf-8")
    with gzip.open(tmp_path / "b.txt.gz", "wt", encoding="utf-8") as file:
        file.write("三行目\n")
    assert texts(tmp_path / "a.txt", tmp_path / "b.txt.gz") == ["One  line.", "Zwei Zeilen – ja.", "三行目"]
    (tmp_path / "c.json.swp").write_text("no text")
    (tmp_path / ".hidden.txt").write_text("hidden")
    assert texts(tmp_path) == ["One  line.", "Zwei Zeilen – ja.", "三行目"]  # a folder, its files by name


def test_tables_give_their_column_of_texts(tmp_path: Path, csv_file: Callable[..., Path]) -> None:
    table = csv_file([["a good film", 1], ["a bad, long film", 0]])
    assert texts(table) == ["a good film", "a bad, long film"]
    pq.write_table(pa.table({"n": [1, 2, 3], "body": ["x y", None, "z w"]}), tmp_path / "p.parquet")
    assert texts(tmp_path / "p.parquet", text="body") == ["x y", "z w"]
    with pytest.raises(DataError, match="no column 'bod'.*Did you mean 'body'"):
        texts(tmp_path / "p.parquet", text="bod")


def test_a_data_set_of_the_hub_saved_on_disk(tmp_path: Path) -> None:
    import datasets

    datasets.DatasetDict(
        {
            "train": datasets.Dataset.from_dict({"text": ["one", "two"]}),
            "test": datasets.Dataset.from_dict({"text": ["no"]}),
        }
    ).save_to_disk(tmp_path / "saved")
    assert texts(tmp_path / "saved") == ["one", "two"]
    before = Corpus((str(tmp_path / "saved"),)).stamp(Silent())
    assert Corpus((str(tmp_path / "saved"),)).stamp(Silent()) == before
    datasets.Dataset.from_dict({"text": ["one", "too"]}).save_to_disk(tmp_path / "other")
    shutil.rmtree(tmp_path / "saved")
    (tmp_path / "other").rename(tmp_path / "saved")
    assert Corpus((str(tmp_path / "saved"),)).stamp(Silent()) != before


def test_beside_a_training_split_what_judges_is_left_out_and_told(tmp_path: Path) -> None:
    for name in ("a/train.txt", "a/dev.txt", "a/test-00000-of-00001.txt", "a/more.txt", "b/training/pos/1.txt",
                 "b/training/test.txt", "b/test/pos/2.txt", "c/test.txt", "c/valid.txt"):  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    findings = Findings()
    read = list(Corpus((str(tmp_path),)).paragraphs(findings))
    # no training split lies beside those of c
    assert read == [
        "a/more.txt",
        "a/train.txt",
        "b/training/pos/1.txt",
        "b/training/test.txt",
        "c/test.txt",
        "c/valid.txt",
    ]
    told = {one.message.split()[1]: one.examples for one in findings.records()}
    assert told == {"validation": ("dev.txt",), "test": ("test-00000-of-00001.txt", "2.txt")}
    assert len(list(Corpus((str(tmp_path),), all_splits=True).paragraphs())) == 9
    (tmp_path / "b").rename(tmp_path / "dev")  # an outer name hides no inner one
    assert "b/test/pos/2.txt" not in texts(tmp_path)
    assert texts(tmp_path / "a", tmp_path / "a" / "dev.txt") == ["a/more.txt", "a/train.txt", "a/dev.txt"]


def test_what_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    (tmp_path / "picture.txt").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    (tmp_path / "empty").mkdir()
    for source, words in (
        ("picture.png", "can't read"), ("picture.txt", "it is an image"), ("empty", "holds no text"),
        ("none.txt", "no file or folder"),
    ):  # fmt: skip
        with pytest.raises(DataError, match=words):
            texts(tmp_path / source)


def test_bytes_that_are_not_utf8_are_told(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("naïve\n".encode("latin-1"))
    findings = Findings()
    assert list(Corpus((str(tmp_path / "a.txt"),)).paragraphs(findings)) == ["na\xefve"]
    assert findings.count("encoding") == 1


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("longest", [16, 17, 18, 19, 64])
@pytest.mark.parametrize(
    "text", ["ein langer Satz über die Brücke ohne Ende " * 9, "日本語" * 40, "x" * 100, "ab\n" * 9]
)
def test_an_endless_line_comes_in_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, longest: int, text: str, encoding: str
) -> None:
    monkeypatch.setattr("headstart.data.corpus.corpus.LONGEST", longest)
    (tmp_path / "a.txt").write_text(text, encoding=encoding)
    findings = Findings()
    found = list(Corpus((str(tmp_path / "a.txt"),)).paragraphs(findings))
    joined = " ".join(found) if " " in text else "".join(found)
    assert joined == text.replace("\n", "").strip()
    assert all(len(piece) < 2 * longest for piece in found)
    assert findings.count("long") == ("\n" not in text)
    assert findings.count("encoding") == 0


def test_paragraphs_are_gathered_by_number_and_by_size() -> None:
    """Many short ones, or few of an endless line: neither fills the memory."""
    short = [f"word {i}" for i in range(AT_ONCE + 5)]
    assert [len(part) for part in together(short)] == [AT_ONCE, 5]
    long = "x" * (CHARACTERS // 3)
    parts = list(together([long] * 7 + ["end"]))
    assert [len(part) for part in parts] == [4, 4]  # three of them are a little less than the bound
    assert [text for part in parts for text in part] == [long] * 7 + ["end"]


def test_files_without_text_are_told(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one\n")
    (tmp_path / "b.txt").write_text("")
    (tmp_path / "c.txt").write_text(" \n\n")
    findings = Findings()
    assert list(Corpus((str(tmp_path),)).paragraphs(findings)) == ["one"]
    assert findings.count("empty") == 2


def test_the_stamp_changes_with_what_a_file_holds_and_with_nothing_else(tmp_path: Path) -> None:
    """A corpus that was copied to a new machine is the same: what took hours there goes on here."""
    path = tmp_path / "here" / "a.txt"
    path.parent.mkdir()
    path.write_text("one\n")
    before, times = Corpus((str(path.parent),)).stamp(Silent()), path.stat()
    path = shutil.copytree(path.parent, tmp_path / "there") / "a.txt"
    os.utime(path, ns=(1, 1))
    corpus = Corpus((str(path.parent),))
    assert corpus.stamp(Silent()) == before
    path.write_text("two\n")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert corpus.stamp(Silent()) != before
    path.write_text("one\n")
    assert corpus.stamp(Silent()) == before
    path.rename(path.with_suffix(".md"))
    assert corpus.stamp(Silent()) != before, "how a file is read hangs on its name"


def test_a_corpus_is_looked_at_in_view(tmp_path: Path) -> None:
    class Watched(Silent):
        total, done = 0, 0

        def stage(self, name: str, total: int | None = None) -> None:
            self.total = total or 0

        def advance(self, steps: int = 1, note: str = "") -> None:
            self.done += steps

    (tmp_path / "a.txt").write_bytes(bytes(9 << 20))
    (tmp_path / "b.txt").write_bytes(bytes(5 << 20))
    watched = Watched()
    Corpus((str(tmp_path),)).stamp(watched)
    assert watched.done == watched.total == 14


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("one\n")
    path.chmod(0)
    with pytest.raises(DataError, match=r"can't read .*a\.txt: Permission denied"):
        Corpus((str(path),)).stamp(Silent())
