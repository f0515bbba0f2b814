"""Sources as they come: names that are not UTF-8, pipes, empty names, marks beside given splits, declared classes."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from made_data import finding, image, kinds, texts

from headstart.core.errors import ConfigurationError, DataError
from headstart.data.ingest.folds import check_folds
from headstart.data.ingest.unlabelled import unlabelled
from headstart.data.read import read
from headstart.tasks.task import Modality

File = Callable[..., Path]


def pictures(folder: bytes, count: int, seed: int = 0) -> None:
    os.makedirs(folder, exist_ok=True)
    for at in range(count):
        with open(folder + b"/caf\xe9 %d.png" % at, "wb") as file:
            file.write(image(seed + at))


def test_pictures_and_classes_whose_names_are_not_utf8_are_read(tmp_path: Path) -> None:
    for at, name in enumerate((b"caf\xe9", b"caf\xe8", b"tea")):
        pictures(os.fsencode(tmp_path) + b"/" + name, 10, 100 * at)
    data = read(tmp_path)
    assert data.record.rows_used == 30
    assert data.task.labels == ("caf\\xe8", "caf\\xe9", "tea"), "two names never become one"
    assert data.train.content == read(tmp_path).train.content
    assert "unreadable" not in kinds(data)


def test_a_source_whose_path_is_not_utf8_is_refused(csv_file: File, tmp_path: Path) -> None:
    odd = os.fsdecode(os.fsencode(tmp_path) + b"/d\xe9.csv")
    os.rename(csv_file(texts(30)), odd)
    with pytest.raises(DataError, match=r"d\\xe9\.csv is not UTF-8; rename"):
        read(odd)


def test_an_empty_name_is_not_the_working_directory(
    csv_file: File, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures(os.fsencode(tmp_path) + b"/a", 5)
    pictures(os.fsencode(tmp_path) + b"/b", 5, 50)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="name of the data is empty"):
        read("")
    with pytest.raises(DataError, match="name of the data is empty"):
        read(csv_file(texts(30)), test="")


@pytest.mark.parametrize("name", ["pipe", "pipe.csv"])
def test_pipes_are_refused_as_such(csv_file: File, tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    for call in (lambda: read(tmp_path / name), lambda: read(csv_file(texts(30)), test=tmp_path / name)):
        with pytest.raises(DataError, match="standard input and pipes are not read"):
            call()
    with pytest.raises(DataError, match="standard input and pipes are not read"):
        read("-")


def test_a_pipe_among_pictures_is_called_so(tmp_path: Path) -> None:
    for at, name in enumerate("ab"):
        pictures(os.fsencode(tmp_path / name), 10, 100 * at)
    os.mkfifo(tmp_path / "a" / "pipe.png")
    assert finding(read(tmp_path), "skipped").message == "pipes and devices, passed over"


def test_subfolders_of_classes_are_named(tmp_path: Path) -> None:
    for at, name in enumerate(("animal/cat", "animal/dog", "plant/rose", "plant/fern")):
        pictures(os.fsencode(tmp_path / name), 6, 100 * at)
    data = read(tmp_path)
    assert data.task.labels == ("animal", "plant")
    assert "count to the class above them" in finding(data, "layout").message
    assert finding(data, "layout").examples[:2] == ("animal/cat", "animal/dog")


@pytest.mark.parametrize("by", ["column", "flag"])
def test_marks_of_splits_hold_beside_a_given_test_file(csv_file: File, by: str) -> None:
    """Rows that a table marks as test or validation are never trained on, whatever else is given."""
    names = ["train", "train", "train", "validation", "test"]
    rows = [[text, label, names[at // 2 % 5]] for at, (text, label) in enumerate(texts(60))]
    if by == "flag":
        rows = [[*row[:2], int(row[2] == "test")] for row in rows]
    marked = csv_file(rows, "marked.csv", ("text", "label", "split" if by == "column" else "is_test"))
    test = csv_file([[f"{text} more", label] for text, label in texts(20)], "test.csv")
    data = read(marked, test=test)
    learned = {*data.train.inputs()}
    held = {row[0] for row in rows if row[2] in ("test", 1)}
    assert not learned & held
    assert not {*data.validation.inputs()} & held
    assert len(data.test) == 20
    if by == "column":
        assert learned == {row[0] for row in rows if row[2] == "train"}
        assert {*data.validation.inputs()} == {row[0] for row in rows if row[2] == "validation"}
    assert finding(data, "split").count == 12
    assert "marked as test, for which other examples are given" in finding(data, "split").message


def test_marks_that_say_what_the_files_say_or_something_else_change_nothing(tmp_path: Path, csv_file: File) -> None:
    for name, word in (("train", "train"), ("test", "test")):
        csv_file(
            [[f"{text} {name}", label, word] for text, label in texts(40)], f"{name}.csv", ("text", "label", "split")
        )
    assert [len(part) for part in (read(tmp_path).test, read(tmp_path).validation)] == [40, 6]
    csv_file([[text, label, "north"] for text, label in texts(40)], "train.csv", ("text", "label", "split"))
    assert len(read(tmp_path).test) == 40


def test_class_names_are_matched_by_name(csv_file: File) -> None:
    datasets = pytest.importorskip("datasets")

    def declared(names: list[str]) -> object:
        features = {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=names)}
        rows = [(f"{text} more", names.index(str(label))) for text, label in texts(20)]
        columns = {"text": [text for text, _ in rows], "label": [label for _, label in rows]}
        return datasets.Dataset.from_dict(columns, features=datasets.Features(features))

    for source in (csv_file(texts(40)), declared(["yes", "no"])):
        for names in (["no", "yes"], ["yes", "no"]):
            data = read(source, test=declared(names))
            found = dict(zip(data.test.inputs(), (data.task.labels[target] for target in data.test.targets)))
            assert found == {f"{text} more": label for text, label in texts(20)}


def test_a_transform_that_is_not_applied_is_told(csv_file: File) -> None:
    datasets = pytest.importorskip("datasets")
    made = datasets.Dataset.from_dict({"text": [text for text, _ in texts(30)], "label": ["a", "b"] * 15})
    data = read(made.with_transform(lambda batch: {**batch, "text": [text.upper() for text in batch["text"]]}))
    assert "transform is not applied" in finding(data, "transform").message
    assert "transform" not in kinds(read(made.with_format("torch")))
    with pytest.raises(DataError, match=r"^DatasetDict has no training examples; its splits: a, b\."):
        read(datasets.DatasetDict({"a": made, "b": made}))


@pytest.mark.parametrize(("option", "column"), [("group", "--group"), ("cluster_by", "--cluster-by")])
def test_groups_that_say_nothing_are_refused(csv_file: File, option: str, column: str) -> None:
    header = ("text", "label", "who")
    with pytest.raises(DataError, match=rf"'who' \({column}\) is empty in every row"):
        read(csv_file([[*row, ""] for row in texts(40)], header=header), **{option: "who"})
    with pytest.raises(DataError, match=rf"'who' \({column}\) holds 'me' in every row"):
        read(csv_file([[*row, "me"] for row in texts(40)], header=header), **{option: "who"})


def test_too_few_groups_for_any_folds_are_told_how_many_it_takes(csv_file: File) -> None:
    rows = [[*row, at // 2 % 3] for at, row in enumerate(texts(36))]
    data = read(csv_file(rows, header=("text", "label", "who")), group="who")
    with pytest.raises(ConfigurationError, match="3 different inputs or groups can't be cut into 5 folds; folds need"):
        check_folds(data, 5)


def test_the_error_names_the_file_whose_rows_can_not_be_used(csv_file: File) -> None:
    test = csv_file([[text, "maybe"] for text, _ in texts(20)], "other.csv")
    with pytest.raises(DataError, match=r"^other\.csv: no row of the test split"):
        read(csv_file(texts(40)), test=test)


def test_addresses_among_paths_are_called_so(csv_file: File, tmp_path: Path) -> None:
    for at in range(30):
        (tmp_path / f"{at}.png").write_bytes(image(at))
    rows = [[f"https://example.org/{at}.png" if at == 4 else f"{at}.png", "ab"[at % 2]] for at in range(30)]
    table = csv_file(rows, header=("image", "label"))
    assert finding(read(table), "unreadable").examples == ("data.csv:6: an address, not a file: download it",)
    with pytest.raises(DataError, match="no file or folder https://example.org/0.png. Addresses are not read"):
        unlabelled(["https://example.org/0.png"], "image")


@pytest.mark.parametrize("modality", ["text", "text_pair", "image"])
def test_an_empty_input_is_not_the_working_directory(modality: Modality) -> None:
    with pytest.raises(DataError, match="one of the inputs is an empty text"):
        unlabelled([""], modality)
