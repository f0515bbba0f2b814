"""CoNLL files and lists of words: how sentences and their tags are read."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from headstart.core.errors import ConfigurationError, DataError
from headstart.core.words import Words
from headstart.data.audit.findings import Findings
from headstart.data.ingest.model_input import model_input
from headstart.data.read import read
from headstart.data.tables.conll import Conll
from headstart.data.tables.table import Problem

ENTITIES = """-DOCSTART- -X- O

# id = 1
Rome NNP B-LOC
is VB O

# A O
# B O
"""


def rows(path: Path) -> list[dict[str, list[str]]]:
    (chunk,) = Conll(path).chunks(Conll(path).columns, Findings())
    return [dict(zip(chunk.columns, values)) for values in zip(*chunk.columns.values())]


def test_a_file_of_three_columns(tmp_path: Path) -> None:
    (file := tmp_path / "a.conll").write_text(ENTITIES)
    first, second = rows(file)
    assert first == {"words": ["Rome", "is"], "column 2": ["NNP", "VB"], "tags": ["B-LOC", "O"]}
    assert second["words"] == ["#", "#"], "a sign that begins a word line is no comment"


def test_words_alone_and_words_with_blanks(tmp_path: Path) -> None:
    (file := tmp_path / "a.conll").write_text("Rome\nis\n")
    assert rows(file) == [{"words": ["Rome", "is"]}]
    (tabbed := tmp_path / "b.conll").write_text("New York\tB-LOC\nis\tO\n")
    assert rows(tabbed)[0]["words"] == ["New York", "is"]
    assert Words.of(["New York", "is"]).each == ["New\u00a0York", "is"]


def test_universal_dependencies(tmp_path: Path) -> None:
    lines = ["1-2\tdon't" + "\t_" * 8, "1\tdo\tdo\tAUX" + "\t_" * 6, "2\tn't\tnot\tPART" + "\t_" * 6]
    (file := tmp_path / "a.conllu").write_text("# sent_id = 1\n" + "\n".join(lines) + "\n")
    assert rows(file)[0]["words"] == ["do", "n't"]
    assert rows(file)[0]["tags"] == ["AUX", "PART"]


def test_lines_of_other_lengths_are_left_out_with_their_place(tmp_path: Path) -> None:
    (file := tmp_path / "a.conll").write_text("a X\n\nb\n\nc Y\n\nd X\n")
    (chunk,) = Conll(file).chunks(["words"], Findings())
    assert list(chunk.problems) == [1]
    assert chunk.places[1] == "a.conll:3"
    (empty := tmp_path / "b.conll").write_text("\n")
    with pytest.raises(DataError, match="holds no word"):
        Conll(empty)


def sentences(path: Path, count: int, **more: object) -> Path:
    with path.open("w") as file:
        for at in range(count):
            row = {"tokens": ["the", f"w{at}", "ends"], "ner_tags": ["O", "B-X", "O"], **more}
            file.write(json.dumps(row) + "\n")
    return path


def test_json_lines_with_lists(tmp_path: Path) -> None:
    data = read(sentences(tmp_path / "a.jsonl", 30))
    assert (data.task.kind, data.task.modality, data.task.labels) == ("tagging", "text_words", ("O", "B-X"))
    assert data.train.targets.dtype == np.int16
    assert data.train.inputs([0])[0].each[0] == "the"  # type: ignore[union-attr]
    assert isinstance(data.train.inputs([0])[0], Words)
    assert data.train.targets[0].tolist() == [0, 1, 0]


def test_which_list_holds_the_tags_is_asked_where_several_do(tmp_path: Path) -> None:
    file = sentences(tmp_path / "a.jsonl", 30, pos_tags=["A", "B", "A"], chunk_tags=["A", "B", "A"])
    assert read(file).task.labels == ("O", "B-X"), "ner_tags is a usual name"
    assert read(file, label="pos_tags").task.labels == ("A", "B")
    file = sentences(tmp_path / "b.jsonl", 30, one=["A", "B", "A"], ner_tags=None, two=["A", "B", "A"])
    with pytest.raises(DataError, match="one, two could each hold the tags"):
        read(file)


def test_rows_with_other_than_one_tag_a_word_are_left_out(tmp_path: Path) -> None:
    file = sentences(tmp_path / "a.jsonl", 30)
    with file.open("a") as more:
        more.write(json.dumps({"tokens": ["a", "b"], "ner_tags": ["O"]}) + "\n")
        more.write(json.dumps({"tokens": ["a", ""], "ner_tags": ["O", "O"]}) + "\n")
    data = read(file)
    assert data.record.rows_used == 30
    found = {finding.message for finding in data.record.findings}
    assert any("other than one tag a word" in message for message in found)
    assert any("word that is empty" in message for message in found)


def test_tags_that_training_lacks_are_named(tmp_path: Path) -> None:
    for name, count in (("train", 20), ("validation", 5), ("test", 5)):
        sentences(tmp_path / f"{name}.jsonl", count)
    with (tmp_path / "test.jsonl").open("a") as more:
        more.write(json.dumps({"tokens": ["a", "b"], "ner_tags": ["O", "B-NEW"]}) + "\n")
    data = read(tmp_path)
    assert len(data.test) == 5
    assert any("'B-NEW'" in finding.message for finding in data.record.findings)


def test_kinds_that_words_can_not_have(tmp_path: Path) -> None:
    file = sentences(tmp_path / "a.jsonl", 30)
    with pytest.raises(ConfigurationError, match="a single_label task can't be read"):
        read(file, kind="single_label")
    (plain := tmp_path / "b.csv").write_text("text,label\n" + "one,a\ntwo,b\n" * 10)
    with pytest.raises(ConfigurationError, match="a tagging task can't be read"):
        read(plain, kind="tagging")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("U.S. don't, ok", ["U.S.", "don't", ",", "ok"]),
        ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),
        ("cafe\u0301 noir", ["cafe\u0301", "noir"]),
        ("می\u200cخواهم", ["می\u200cخواهم"]),
        ("❤\ufe0f a\u200bb\u0007", ["❤\ufe0f", "a", "b"]),
    ],
)
def test_running_text_is_cut_between_letters_and_signs_of_any_script(text: str, words: list[str]) -> None:
    """Vowel signs, accents and joiners are no letters to a regular expression."""
    assert Words.cut(text).each == words


def test_a_made_split_leaves_training_a_sentence_of_each_tag(tmp_path: Path) -> None:
    """I-Y is on more words than B-Y, but in fewer sentences: sentences of B-Y alone would not keep it."""
    with (file := tmp_path / "a.jsonl").open("w") as out:
        for at in range(40):
            tags = {0: ["B-Y", "I-Y", "I-Y", "I-Y"], 1: ["B-Y", "O", "O", "O"]}.get(at, ["O", "O", "O", "B-X"])
            out.write(json.dumps({"tokens": [f"w{at}", "a", "b", "c"], "tags": tags}) + "\n")
    for seed in range(12):
        data = read(file, seed=seed, test_share=0.4, validation_share=0.3)
        assert set(data.train.targets.ravel().tolist()) == set(range(4))
        assert len(data.test)
        assert len(data.validation)


def test_a_sentence_without_an_end_is_left_out(tmp_path: Path) -> None:
    """Predictions have the room of the longest sentence for each: one of a million words would take all memory."""
    (file := tmp_path / "a.conll").write_text("".join(f"w{at} X\nb Y\n\n" for at in range(30)) + "a X\n" * 10_001)
    data = read(file)
    assert data.train.targets.shape[1] == 2
    assert any("more than 10,000 words" in finding.message for finding in data.record.findings)
    assert isinstance(model_input(["a " * 10_001], "text_words"), Problem)
    assert model_input(["a b"], "text_words") == "a b"


@pytest.mark.parametrize("tags", [["O", None, "B-X"], ["O", None, "B-X", "O"]])
def test_a_tag_that_is_missing_shifts_no_other(tmp_path: Path, tags: list[str | None]) -> None:
    with (file := sentences(tmp_path / "a.jsonl", 30)).open("a") as more:
        more.write(json.dumps({"tokens": ["a", "b", "c"], "ner_tags": tags}) + "\n")
    data = read(file)
    assert data.record.rows_used == 30
    assert any("missing label in their list" in finding.message for finding in data.record.findings)


def test_more_tags_than_16_bits_hold_are_refused(tmp_path: Path) -> None:
    with (file := tmp_path / "a.jsonl").open("w") as out:
        for at in range(20):
            tags = [f"t{at}-{each}" for each in range(2_000)]
            out.write(json.dumps({"tokens": ["a"] * 2_000, "ner_tags": tags}) + "\n")
    with pytest.raises(DataError, match="40,000 different tags; at most 32,767"):
        read(file)


def test_comments_of_any_text_are_passed_over(tmp_path: Path) -> None:
    (file := tmp_path / "a.conll").write_text("# sentence one of two\nRome X\n\n#doc7\nis O\n# X\n\n# O\n")
    assert [row["words"] for row in rows(file)] == [["Rome"], ["is", "#"], ["#"]]
