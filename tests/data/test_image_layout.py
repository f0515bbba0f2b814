"""Folders of images: which are splits, which are classes, and what is passed over is named."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from made_data import finding, image, kinds

from headstart.core.errors import DataError
from headstart.data.images.files import Passed, image_files
from headstart.data.ingest.unlabelled import unlabelled
from headstart.data.read import read


def fill(root: Path, *folders: str, each: int = 8) -> None:
    for folder in folders:
        (root / folder).mkdir(parents=True)
        for at in range(each):
            (root / folder / f"{at}.png").write_bytes(image(hash((folder, at)) % 2**31))


@pytest.mark.parametrize(
    ("train", "validation", "test"),
    [
        ("training_set", None, "test_set"),
        ("Training", "Validation", "Testing"),
        ("seg_train", "seg_dev", "seg_test"),
        ("train", "valid", "holdout"),
        ("TrainData", "eval", "test"),
        ("train2017", "val2017", "test2017"),
        ("trainset", None, "evaluation"),
    ],
)
def test_split_folders_by_other_names(tmp_path: Path, train: str, validation: str | None, test: str) -> None:
    fill(tmp_path, *(f"{split}/{label}" for split in (train, validation, test) if split for label in "ab"))
    data = read(tmp_path)
    assert data.task.labels == ("a", "b")
    made = "given" if validation else "made (stratified)"
    assert [s.origin for s in data.record.splits] == ["given", made, "given"]
    assert all(place.startswith(f"{test}/") for place in data.test.places(range(len(data.test))))
    if train != "train":
        assert f"{train} as train" in finding(data, "layout").message


def test_splits_within_each_class(tmp_path: Path) -> None:
    fill(tmp_path, "cat/train", "cat/test", "dog/train", "dog/test")
    data = read(tmp_path)
    assert data.task.labels == ("cat", "dog")
    assert {place.split("/")[1] for place in data.test.places(range(16))} == {"test"}
    assert "within each class" in finding(data, "layout").message


def test_a_class_may_be_called_train_or_dev(tmp_path: Path) -> None:
    fill(tmp_path, "train", "bus", "dev")
    assert read(tmp_path).task.labels == ("bus", "dev", "train")
    fill(tmp_path / "deep", "train/steam", "train/diesel", "test/engine", "bus/red", "bus/blue")
    assert read(tmp_path / "deep").task.labels == ("bus", "test", "train")


def test_flat_split_folders_are_refused_by_name(tmp_path: Path) -> None:
    fill(tmp_path, "train/a", "train/b", "test")
    with pytest.raises(DataError, match=r"Without classes: test. Give .*/train alone to have the other splits made"):
        read(tmp_path)
    (tmp_path / "test" / "_classes.csv").write_text("filename, a, b\n0.png, 1, 0\n")
    with pytest.raises(DataError, match=r"They hold tables \(test/_classes.csv\): .* name each as its split"):
        read(tmp_path)


def test_a_table_beside_one_folder_of_images_is_read(tmp_path: Path) -> None:
    """Not the folder as the only class."""
    fill(tmp_path, "images", "masks", each=24)  # the masks have the same names
    lines = [f"{at}.png,{'ab'[at % 2]}" for at in range(24)]
    (tmp_path / "labels.csv").write_text("\n".join(["image,label", *lines]))
    (tmp_path / "notes.csv").write_text("text,label\nsome words,yes\n")
    data = read(tmp_path)
    assert (data.task.labels, data.record.rows_used) == (("a", "b"), 24)
    assert all(b"/images/" in path for path in data.train.table.column("input").to_pylist())
    assert finding(data, "split").examples == ("notes.csv",)
    (tmp_path / "sample.csv").write_text("\n".join(["image,label", *lines]))
    with pytest.raises(DataError, match=r"several tables list these images: labels.csv, sample.csv"):
        read(tmp_path)


def test_a_table_beside_folders_of_classes_is_named(tmp_path: Path) -> None:
    fill(tmp_path, "part_1", "part_2")
    (tmp_path / "labels.csv").write_text("image,label\n" + "".join(f"{at}.png,a\n" for at in range(8)))
    data = read(tmp_path)
    assert data.task.labels == ("part_1", "part_2")
    assert "or as the data to learn from it" in finding(data, "split").message
    assert finding(data, "split").examples == ("labels.csv",)


def test_a_folder_around_all_is_entered_and_junk_is_no_class(tmp_path: Path) -> None:
    fill(tmp_path, "archive/train/train/a", "archive/train/train/b", "archive/test/a", "archive/test/b")
    fill(tmp_path, "__MACOSX/train/a", ".ipynb_checkpoints/a")
    data = read(tmp_path)
    assert data.task.labels == ("a", "b")
    assert [s.size for s in data.record.splits][2] == 16


def test_outer_classes_with_equal_subfolders_are_doubted(tmp_path: Path) -> None:
    fill(tmp_path, "mercy/ill", "mercy/well", "hope/ill", "hope/well")
    data = read(tmp_path)
    assert data.task.labels == ("hope", "mercy")
    assert "ill, well" in finding(data, "layout").message


def test_one_walk_for_training_and_prediction(tmp_path: Path) -> None:
    fill(tmp_path, "a/inner", "b")
    for name in ("a/._0.png", "a/Thumbs.db", "a/.ipynb_checkpoints/0.png", "b/scan.raw", "b/scan2.RAW", "b/notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    os.mkfifo(tmp_path / "b" / "pipe.png")
    os.symlink(tmp_path / "nowhere.png", tmp_path / "b" / "broken.png")
    data = read(tmp_path)
    assert data.record.rows_read == 16
    messages = [f.message for f in data.record.findings if f.kind == "skipped"]
    assert "files that are no images by their suffix, passed over: 2 .raw, 1 .txt" in messages
    assert kinds(data)["skipped"] == 5
    found = [str(row.value) for row in unlabelled([str(tmp_path)], "image")]
    assert found == [str(tmp_path / "a" / "inner" / f"{at}.png") for at in range(8)] + [
        str(tmp_path / "b" / f"{at}.png") for at in range(8)
    ]


def test_linked_folders_are_entered_once_and_circles_end(tmp_path: Path) -> None:
    fill(tmp_path, "data/a", "data/b", "elsewhere", each=4)
    os.symlink(tmp_path / "elsewhere", tmp_path / "data" / "a" / "more")
    os.symlink(tmp_path / "elsewhere", tmp_path / "data" / "a" / "more again")
    os.symlink(tmp_path / "data", tmp_path / "data" / "b" / "up")
    os.symlink(tmp_path / "data" / "b", tmp_path / "data" / "b" / "self")
    passed = Passed()
    assert len(list(image_files(tmp_path / "data" / "a", passed))) == 8
    assert len(list(image_files(tmp_path / "data" / "b", passed))) == 4
    data = read(tmp_path / "data")
    assert data.record.rows_read == 12
    assert sorted(finding(data, "skipped").examples) == [
        str(tmp_path / "data" / name) for name in ("a/more again", "b/self", "b/up")
    ]


def test_images_outside_of_class_folders_are_named(tmp_path: Path) -> None:
    fill(tmp_path, "a", "b")
    (tmp_path / "loose.png").write_bytes(image(1))
    assert finding(read(tmp_path), "skipped").examples == ("loose.png",)


def test_two_folders_around_all_and_masks_beside_the_images(tmp_path: Path) -> None:
    fill(tmp_path / "one", "data-main/images/a", "data-main/images/b")
    assert read(tmp_path / "one").task.labels == ("a", "b")
    fill(tmp_path / "two", "train/a", "train/b", "train_masks/a", "train_masks/b", "test/a", "test/b")
    data = read(tmp_path / "two")
    assert data.record.rows_read == 32
    assert "passed over: train_masks" in finding(data, "layout").message
