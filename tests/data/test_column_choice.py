"""Which column is what: guesses are shown, unclear ones asked for, and given splits never trained on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from made_data import kinds, texts

from headstart.core.errors import DataError
from headstart.data.read import read
from headstart.data.tables.split_columns import Marks

File = Callable[..., Path]
ROWS = texts(60)


def columns(csv_file: File, header: str, *more: Callable[[int], Any], name: str = "data.csv") -> Path:
    """A file with the text, and further columns by the row's number."""
    rows = [[text, *(column(at) for column in more)] for at, (text, _) in enumerate(ROWS)]
    return csv_file(rows, name, header.split(","))


def test_few_numbers_in_an_id_column_count_as_a_label(csv_file: File) -> None:
    path = columns(csv_file, "review,category_id,verified", lambda at: at % 5, lambda at: at % 2)
    with pytest.raises(DataError, match="category_id and verified could each be the label"):
        read(path)
    path = columns(csv_file, "review,category_id", lambda at: at % 5)
    data = read(path)
    assert data.record.columns["label"] == "category_id"
    path = columns(csv_file, "review,review_id,verified", lambda at: at + 1_000, lambda at: at % 2)
    assert read(path).record.columns["label"] == "verified", "every value once is an id"


@pytest.mark.parametrize("name", ["fold", "Folds", "kfold"])
def test_a_column_of_folds_is_said_to_be_unused(csv_file: File, name: str) -> None:
    path = columns(csv_file, f"review,label,{name}", lambda at: at % 2, lambda at: at % 5)
    (told,) = [one.message for one in read(path).record.findings if one.kind == "fold"]
    assert f"the column {name!r} is not used: --folds K" in told
    assert f"--group {name} keeps" in told
    assert "fold" not in kinds(read(path, group=name))


def test_a_column_of_splits_that_says_none_is_said_to_be_unused(csv_file: File) -> None:
    """CelebA's and WILDS' 0, 1, 2: their test rows were trained on without a word."""
    path = columns(csv_file, "text,label,split", lambda at: at % 2, lambda at: at % 3)
    (told,) = [one.message for one in read(path).record.findings if one.kind == "split"]
    assert told.startswith("the column 'split' is not used, because it holds 0, 1, 2: write train")


def test_a_file_sorted_by_its_label(csv_file: File) -> None:
    rows = [[text, "abc"[at // 1_500], at % 2] for at, (text, _) in enumerate(texts(4_500))]
    with pytest.raises(DataError, match="topics and flagged could each be the label"):
        read(csv_file(rows, header=("text", "topics", "flagged")))


def test_dates_and_notes_beside_the_label_are_none(csv_file: File) -> None:
    day, kind = (lambda at: f"2024-01-{at % 9 + 1:02}"), (lambda at: "ab"[at % 2])
    data = read(columns(csv_file, "text,day,kind,lang", day, kind, lambda at: "ende"[at % 2 * 2 :][:2]))
    assert data.record.columns["label"] == "kind"
    data = read(columns(csv_file, "text,lang", lambda at: ("en", "de")[at % 2]))
    assert data.record.columns["label"] == "lang", "where nothing else is there, it is what is to be learned"
    data = read(columns(csv_file, ",text,label", lambda at: ROWS[at][0], lambda at: at % 2))
    assert data.record.columns == {"text": "text", "label": "label"}


SPLIT = ["train"] * 4 + ["test", "dev"]


@pytest.mark.parametrize("name", ["subset", "Partition", "usage"])
def test_a_column_of_splits_under_another_name(csv_file: File, name: str) -> None:
    data = read(columns(csv_file, f"text,label,{name}", lambda at: at % 2, lambda at: SPLIT[at % 6]))
    assert [(split.size, split.origin) for split in data.record.splits] == [(40, "given"), (10, "given"), (10, "given")]
    assert data.record.columns["split"] == name
    assert data.test.inputs() == [ROWS[at][0] for at in range(60) if at % 6 == 4]


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("is_test", lambda at: at % 6 == 4), ("isTest", lambda at: int(at % 6 == 4)),
        ("test_set", lambda at: "yes" if at % 6 == 4 else "no"), ("is_train", lambda at: str(at % 6 != 4).lower()),
        ("in_training_set", lambda at: float(at % 6 != 4)), ("test_flag", lambda at: "x" if at % 6 == 4 else ""),
    ],
)  # fmt: skip
def test_flags_mark_the_test_rows(csv_file: File, name: str, write: Callable[[int], Any]) -> None:
    data = read(columns(csv_file, f"text,label,{name}", lambda at: "ab"[at % 2], write))
    assert data.test.inputs() == [ROWS[at][0] for at in range(60) if at % 6 == 4]
    assert data.record.columns == {"text": "text", "label": "label", "split": name}


def test_two_flags(csv_file: File) -> None:
    test, dev, both = (lambda at: at % 6 == 4), (lambda at: at % 6 == 5), (lambda at: at % 6 > 3)
    data = read(columns(csv_file, "text,label,is_val,is_test", lambda at: at % 2, dev, test))
    assert [split.size for split in data.record.splits] == [40, 10, 10]
    with pytest.raises(DataError, match="mark the row as validation and test at once"):
        read(columns(csv_file, "text,label,is_val,is_test", lambda at: at % 2, both, test))


def test_a_label_called_test_is_a_label(csv_file: File) -> None:
    assert read(columns(csv_file, "text,test", lambda at: at % 2)).record.columns["label"] == "test"
    data = read(columns(csv_file, "text,is_test", lambda at: at % 2), label="is_test")
    assert data.record.columns == {"text": "text", "label": "is_test"}


def test_columns_of_zeros_and_ones_are_one_label(csv_file: File, json_file: File) -> None:
    food, drink, other = (lambda at: int(at % 3 == 0)), (lambda at: int(at % 3 == 1)), (lambda at: int(at % 3 == 2))
    data = read(columns(csv_file, "text,food,drink,other", food, drink, other))
    assert (data.task.kind, data.task.labels) == ("single_label", ("drink", "food", "other"))
    by_text = dict(zip(data.train.inputs(), data.train.targets.tolist()))
    assert all(("food", "drink", "other")[at % 3] == data.task.labels[by_text[text]]
               for at, (text, _) in enumerate(ROWS) if text in by_text)  # fmt: skip
    some = columns(csv_file, "text,toxic,rude", lambda at: int(at % 2), lambda at: int(at % 4 > 1))
    with pytest.raises(DataError, match="if each is a class: --label toxic,rude"):
        read(some)
    data = read(some, label="toxic,rude")
    assert (data.task.kind, data.task.labels) == ("multi_label", ("rude", "toxic"))
    assert data.train.targets.sum() > 0
    with pytest.raises(DataError, match=r"data\.csv:2: the label column 'rude' holds 'no way'"):
        read(columns(csv_file, "text,toxic,rude", lambda at: at % 2, lambda at: "no way"), label="toxic,rude")


def test_a_column_whose_name_holds_a_comma(csv_file: File) -> None:
    path = csv_file(ROWS, header=("text", "label, final"))
    assert read(path, label="label, final").record.columns["label"] == "label, final"


def test_clean_tables_have_no_findings(csv_file: File) -> None:
    assert not kinds(read(columns(csv_file, "id,text,label", lambda at: ROWS[at][0], lambda at: at % 2), label="label"))


def test_what_was_understood_is_recorded_and_printed(csv_file: File) -> None:
    path = columns(csv_file, "review;x,verified", lambda at: at % 2)
    path.write_text(path.read_text() + '"a text\nover lines",1\n')
    data = read(path)
    assert data.record.understood == (
        "text: review;x (guessed from its values), label: verified (guessed from its values) (single_label, 2 classes)",
        "data.csv: commas, UTF-8, 61 rows on 63 lines",
    )
    assert "label: verified (guessed from its values)" in " ".join(str(data).split())
    named = read(columns(csv_file, "review,label", lambda at: at % 2))
    assert named.record.understood[0] == "text: review, label: label (single_label, 2 classes)"


@pytest.mark.parametrize(
    ("header", "value", "noted"),
    [
        ("patient", lambda at: f"p{at // 3}", True), ("patientId", lambda at: at // 3, True),
        ("author_id", lambda at: at // 3, True), ("village", lambda at: f"village {at // 2}", True),
        ("year", lambda at: 1990 + at // 3, False), ("hospital", lambda at: "abc"[at % 3], False),
        ("file", lambda at: f"{at // 2}.txt", False), ("comment_id", lambda at: at, False),
    ],
)  # fmt: skip
def test_a_column_whose_values_cross_the_splits(
    csv_file: File, header: str, value: Callable[[int], Any], noted: bool
) -> None:
    path = columns(csv_file, f"text,label,{header}", lambda at: "ab"[at % 2], value)
    data = read(path)
    assert ("repeated_column" in kinds(data)) == noted
    if noted:
        found = next(f for f in data.record.findings if f.kind == "repeated_column")
        assert f"--group {header}" in found.message
        seen = {str(value(int(at.split(":")[1]) - 2)) for at in data.train.places(range(len(data.train)))}
        held = [*data.validation.places(range(len(data.validation))), *data.test.places(range(len(data.test)))]
        assert found.count == sum(str(value(int(at.split(":")[1]) - 2)) in seen for at in held)
        assert "repeated_column" not in kinds(read(path, group=header))


@pytest.mark.parametrize(
    ("names", "sizes"),
    [
        (("train", "train", "holdout"), (40, 20)),
        (("Training", "PublicTest", "PrivateTest"), (20, 40)),
        (("train", "test_seen", "test_unseen"), (20, 40)),
        (("train", "eval", "test"), (20, 20, 20)),
    ],
)
def test_splits_are_found_by_one_word_of_several(csv_file: File, names: Sequence[str], sizes: Sequence[int]) -> None:
    """Sizes of train with the validation that is made of it, and of test; of all three where these are given."""
    data = read(columns(csv_file, "text,label,part", lambda at: "yn"[at // 3 % 2], lambda at: names[at % 3]))
    found = [split.size for split in data.record.splits]
    assert data.record.columns["split"] == "part"
    assert (found if len(sizes) == 3 else [sum(found[:2]), found[2]]) == list(sizes)


@pytest.mark.parametrize("names", [("train ride over a hill", "test of a drive"), ("train", "bus"), ("test", "eval")])
def test_columns_of_other_words_are_no_splits(csv_file: File, names: Sequence[str]) -> None:
    path = columns(csv_file, "text,label,part", lambda at: "yn"[at % 2], lambda at: names[at // 2 % 2])
    assert "split" not in read(path).record.columns


def test_a_sentence_in_a_column_of_splits_is_none() -> None:
    assert Marks(("part",)).split(["PublicTest"], "a.csv:2") == "test"
    with pytest.raises(DataError, match=r"a.csv:9: the column 'part' holds 'put to the test'"):
        Marks(("part",)).split(["put to the test"], "a.csv:9")


@pytest.mark.parametrize("option", ["group", "cluster_by"])
def test_what_groups_rows_gives_its_role_to_no_other_column(csv_file: File, option: str) -> None:
    """`--group text` made `lang` the text, and `--cluster-by label` made it the label, in silence."""
    rows = [(f"some good text {at}", ("no", "yes")[at % 2], ("en", "de")[at // 2 % 2]) for at in range(60)]
    path = csv_file(rows, header=("text", "label", "lang"))
    asked: dict[str, Any] = {option: "text"}
    assert read(path, **asked).record.columns["text"] == "text"
    with pytest.raises(DataError, match="the column 'label' is the label; --"):
        read(path, **{option: "label"})
