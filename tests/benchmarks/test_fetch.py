"""Downloads of the benchmarks' data: converted as the copy that was measured on, kept only with its checksum."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def fetch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT)
    monkeypatch.setenv("HEADSTART_DATA", str(tmp_path))
    return importlib.import_module("benchmarks.lib.fetch")


def test_questions_become_a_csv(fetch: ModuleType) -> None:
    lines = b"3 Who was Galileo ?\n4 What county is Modesto , California in ?\n5 caf\xe9s ?\n"
    found = fetch.trec(lambda url: lines)
    assert sorted(found) == ["test.csv", "train.csv"]
    assert found["test.csv"].decode() == (
        'text,label\r\nWho was Galileo ?,human\r\n"What county is Modesto , California in ?",location\r\n'
        "cafés ?,numeric\r\n"
    )


def test_entities_begin_with_b_and_articles_are_no_sentences(fetch: ModuleType) -> None:
    text = b"The I-ORG\nMad I-ORG\nUK I-LOC\nsang O\nUK I-LOC\nHe I-PER\n\n-DOCSTART- O\n\nShe O\n"
    assert fetch.wikigold(lambda url: text)["train.conll"].decode() == (
        "The\tB-ORG\nMad\tI-ORG\nUK\tB-LOC\nsang\tO\nUK\tB-LOC\nHe\tB-PER\n\nShe\tO\n\n"
    )


def test_what_differs_is_not_kept(fetch: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="the source has changed"):
        fetch.fetch("text/trec", "0" * 64, lambda url: b"0 What ?\n")
    assert not (tmp_path / "text" / "trec").exists()


def test_what_is_as_measured_on_is_kept(fetch: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "made").mkdir()
    for name in ("train", "test"):
        (tmp_path / "made" / f"{name}.csv").write_bytes(b"text,label\r\nWhat ?,description\r\n")
    fetch.fetch("text/trec", fetch.digest(tmp_path / "made"), lambda url: b"0 What ?\n")
    assert (tmp_path / "text" / "trec" / "test.csv").is_file()
    fetch.main()
    assert "text/trec: other than what was measured on." in capsys.readouterr().out


def test_a_wrong_name_ends_with_one_message(fetch: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as error:
        fetch.main("text/trek")
    assert error.value.code == 2
    assert capsys.readouterr().err.startswith("no data set text/trek; there are text/trec, ")
