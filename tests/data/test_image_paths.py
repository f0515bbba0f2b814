"""Tables that name their images: paths in a column are read as images, never learned as texts."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made_data import image

from headstart.core.errors import DataError
from headstart.data.ingest.unlabelled import unlabelled
from headstart.data.read import read


def rows(count: int = 20, prefix: str = "") -> list[list[object]]:
    return [[f"{prefix}{at}.PNG", "ab"[at % 2]] for at in range(count)]


def pictures(folder: Path, count: int = 20) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for at in range(count):
        (folder / f"{at}.PNG").write_bytes(image(at))


@pytest.mark.parametrize("column", ["file_name", "filename", "image", "image_path"])
@pytest.mark.parametrize(
    "where", ["beside", "below", "absolute", "named subfolder", "windows", "working directory", "address of a file"]
)
def test_paths_in_a_column_are_images(
    tmp_path: Path, csv_file: Callable[..., Path], where: str, column: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / {"beside": ".", "working directory": "work/img"}.get(where, "img")
    pictures(folder)
    prefix = {
        "named subfolder": "img/", "windows": "img\\", "address of a file": f"file://{folder}/",
        "absolute": f"{folder}/", "working directory": "img/",
    }.get(where, "")  # fmt: skip
    if where == "working directory":
        monkeypatch.chdir(tmp_path / "work")
    data = read(csv_file(rows(prefix=prefix), "labels.csv", (column, "label")))
    assert data.task.modality == "image"
    assert data.record.columns["image"] == column
    assert data.train.inputs([0])[0] == (folder / f"{int(data.train.ids[0])}.PNG").read_bytes()


def test_missing_files_are_named_and_left_out(tmp_path: Path, csv_file: Callable[..., Path]) -> None:
    pictures(tmp_path)
    data = read(csv_file([*rows(), ["gone.png", "a"], ["", "b"]], "labels.csv", ("file_name", "label")))
    assert data.record.rows_used == 20
    found = [example for f in data.record.findings if f.kind == "unreadable" for example in f.examples]
    assert any(example.startswith("labels.csv:22: No such file") for example in found)
    assert any(example.startswith("labels.csv:23") for example in found)


def test_paths_of_which_none_exists_are_refused(csv_file: Callable[..., Path]) -> None:
    with pytest.raises(DataError, match=r"'file_name' holds paths of images, and none of them exists \(0\.PNG\)"):
        read(csv_file(rows(), "labels.csv", ("file_name", "label")))
    with pytest.raises(DataError, match="holds addresses of images"):
        read(csv_file(rows(prefix="https://a.b/"), "labels.csv", ("file_name", "label")))


@pytest.mark.parametrize(
    ("column", "value"),
    [("image", "https://a.b/{}.jpg?w=200"), ("image_url", "https://a.b/photo/{}"), ("image", "img/{}.png?raw=1")],
)
def test_addresses_with_queries_are_refused(csv_file: Callable[..., Path], column: str, value: str) -> None:
    with pytest.raises(DataError, match="holds (addresses|paths) of images"):
        read(csv_file([[value.format(at), "ab"[at % 2]] for at in range(20)], "labels.csv", (column, "label")))


def test_names_of_other_files_are_no_texts(csv_file: Callable[..., Path]) -> None:
    table = csv_file([[f"clips/{at}.wav", "ab"[at % 2]] for at in range(20)], "labels.csv", ("path", "label"))
    with pytest.raises(DataError, match=r"names of files \(clips/0.wav\), which are not opened"):
        read(table)
    assert read(table, text="path").task.modality == "text", "who names the column wants the names"


@pytest.mark.parametrize(("column", "name"), [("id_code", "4a{}f"), ("image_id", "4a{}f"), ("id", "{}"), ("x", "k{}")])
def test_names_of_images_without_their_suffix(
    tmp_path: Path, csv_file: Callable[..., Path], column: str, name: str
) -> None:
    for folder in ("train_images", "train_masks"):
        (tmp_path / folder).mkdir()
        for at in range(20):
            (tmp_path / folder / f"{name.format(at)}.png").write_bytes(image(at))
    cells = [[name.format(at), "ab"[at % 2]] for at in range(20)]
    table = csv_file([*cells, ["gone", "a"]], "train.csv", (column, "label"))
    data = read(table)
    assert (data.task.modality, data.record.rows_used) == ("image", 20)
    at = int(data.train.ids[0])
    assert data.train.inputs([0])[0] == (tmp_path / "train_images" / f"{name.format(at)}.png").read_bytes()
    found = unlabelled([str(csv_file(cells, "new.csv", (column, "other")))], "image", None, data.record.columns)
    assert found[3].value == str(tmp_path / "train_images" / f"{name.format(3)}.png")


def test_numbers_and_texts_beside_images_stay_what_they_are(tmp_path: Path, csv_file: Callable[..., Path]) -> None:
    pictures(tmp_path / "img")
    table = csv_file([[f"some words {at}", at, "ab"[at % 2]] for at in range(20)], header=("text", "id", "label"))
    assert read(table).task.modality == "text"
    table = csv_file([[f"w{at} words", at / 1] for at in range(20)], header=("notes", "price"))
    assert read(table, kind="regression", label="price").task.modality == "text"


def test_texts_beside_paths_that_do_not_exist_stay_texts(csv_file: Callable[..., Path]) -> None:
    found = csv_file([[f"some words {at}", *row] for at, row in enumerate(rows())], header=("text", "thumb", "label"))
    assert read(found).task.modality == "text"


def test_hugging_face_metadata(tmp_path: Path, json_file: Callable[..., Path]) -> None:
    for split in ("train", "test"):
        pictures(tmp_path / "two" / split)
        lines = [json.dumps({"file_name": name, "label": label}) for name, label in rows()]
        (tmp_path / "two" / split / "metadata.jsonl").write_text("\n".join(lines))
    data = read(tmp_path / "two")
    assert (data.task.modality, len(data.test)) == ("image", 20)
    pictures(tmp_path / "one" / "images")
    text = "file_name,label\n" + "\n".join(f"images/{name},{label}" for name, label in rows())
    (tmp_path / "one" / "metadata.csv").write_text(text)
    assert read(tmp_path / "one").record.rows_used == 20


def test_images_that_no_table_lists_are_named(tmp_path: Path, csv_file: Callable[..., Path]) -> None:
    pictures(tmp_path / "hub", 22)
    pictures(tmp_path / "hub" / "forgotten", 2)
    lines = [f"{name},{label}" for name, label in rows()]
    (tmp_path / "hub" / "metadata.csv").write_text("\n".join(["file_name,label", *lines]))
    pictures(tmp_path / "shots", 22)
    pictures(tmp_path / "other", 2)
    own = csv_file(rows(20, "shots/"), "labels.csv", ("image", "label"))
    last = csv_file([["shots/20.PNG", "a"]], "last.csv", ("image", "label"))
    for source, test, left in (
        (tmp_path / "hub", None, ("20.PNG", "21.PNG", "forgotten/0.PNG", "forgotten/1.PNG")),
        (own, None, ("shots/20.PNG", "shots/21.PNG")),
        (own, last, ("shots/21.PNG",)),
    ):
        (found,) = [one for one in read(source, test=test).record.findings if one.kind == "skipped"]
        assert "does not list, left out" in found.message
        assert (found.count, found.examples) == (len(left), left)


def test_paths_in_a_data_set_that_is_no_file(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    pictures(tmp_path, 22)
    held = {"image": [str(tmp_path / str(name)) for name, _ in rows()], "label": [label for _, label in rows()]}
    record = read(datasets.Dataset.from_dict(held)).record
    assert record.rows_used == 20
    assert not [one for one in record.findings if one.kind == "skipped"]


def test_a_holdout_beside_a_test_split_is_for_validation(tmp_path: Path, csv_file: Callable[..., Path]) -> None:
    """As in folders of classes (`splits_of`)."""
    for at, split in enumerate(("train", "test", "holdout")):
        pictures(tmp_path / split)
        text = "\n".join(["file_name,label", *(f"{name},{label}" for name, label in rows()[: 20 - at])])
        (tmp_path / split / "metadata.csv").write_text(text)
    given = [
        [f"{s}/{name}", label] for s, n in zip(("train", "test", "holdout"), (20, 19, 18)) for name, label in rows(n)
    ]
    for source in (tmp_path, csv_file(given, "labels.csv", ("image", "label"))):
        assert [split.size for split in read(source).record.splits] == [20, 18, 19]


def test_a_table_beside_folders_of_classes_says_how(tmp_path: Path, csv_file: Callable[..., Path]) -> None:
    for label in "ab":
        pictures(tmp_path / "photos" / label)
    pictures(tmp_path / "more")
    given = rows(20, "more/")
    with pytest.raises(DataError, match="call the columns file and folder"):
        read(tmp_path / "photos", test=csv_file(given, "test.csv", ("image", "label")))
    assert len(read(tmp_path / "photos", test=csv_file(given, "test.csv", ("file", "folder"))).test) == 20
    with pytest.raises(DataError, match="folders of classes, and training is a table"):
        read(csv_file(given, "train.csv", ("image", "label")), test=tmp_path / "photos")


def test_a_table_of_paths_beside_one_of_bytes(tmp_path: Path, csv_file: Callable[..., Path]) -> None:
    pictures(tmp_path)
    pq.write_table(pa.table({"image": [image(99), image(98)], "label": ["a", "b"]}), tmp_path / "held.parquet")
    data = read(csv_file(rows(), "labels.csv", ("image", "label")), test=tmp_path / "held.parquet")
    assert data.test.inputs() == [image(99), image(98)]
    assert data.train.inputs([0])[0] == (tmp_path / f"{int(data.train.ids[0])}.PNG").read_bytes()


@pytest.mark.parametrize("prefix", ["", "data:image/png;base64,"])
def test_base64_is_an_image(csv_file: Callable[..., Path], prefix: str) -> None:
    texts = [[prefix + base64.b64encode(image(at)).decode(), "ab"[at % 2]] for at in range(20)]
    data = read(csv_file(texts, "labels.csv", ("picture", "label")))
    assert data.train.inputs([0])[0] == image(int(data.train.ids[0]))


def test_prediction_reads_the_same_column(tmp_path: Path, csv_file: Callable[..., Path]) -> None:
    pictures(tmp_path)
    found = unlabelled(
        [str(csv_file(rows(), "new.csv", ("file_name", "label")))], "image", None, {"image": "file_name"}
    )
    assert [str(row.value) for row in found] == [str(tmp_path / f"{at}.PNG") for at in range(20)]


def test_structs_with_paths_alone(tmp_path: Path) -> None:
    pictures(tmp_path)
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    cells = [{"bytes": None, "path": name} for name, _ in rows()]
    pq.write_table(
        pa.table({"image": pa.array(cells, kind), "label": [label for _, label in rows()]}), tmp_path / "t.parquet"
    )
    assert read(tmp_path / "t.parquet").record.rows_used == 20
    assert not any(f.kind == "unreadable" for f in read(tmp_path / "t.parquet").record.findings)


def test_tables_find_the_folders_of_their_names(tmp_path: Path, csv_file: Callable[..., Path]) -> None:
    for split, first in (("train", 0), ("test", 50)):
        (tmp_path / f"{split}_images").mkdir()
        for at in range(20):
            (tmp_path / f"{split}_images" / f"{at}.PNG").write_bytes(image(first + at))
        csv_file(rows(), f"{split}.csv", ("image", "label"))
    data = read(tmp_path)
    assert data.train.inputs([0])[0] == image(int(data.train.ids[0]))
    assert data.test.inputs([0])[0] == image(50)
    with pytest.raises(DataError, match="test_images, train_images each hold files of such names"):
        read(csv_file(rows(), "labels.csv", ("image", "label")))


@pytest.mark.parametrize("suffix", [".PNG", ""])
def test_images_in_several_folders_without_a_name_twice(
    tmp_path: Path, csv_file: Callable[..., Path], suffix: str
) -> None:
    """HAM10000 comes so; half of it was left out, as if the files were missing."""
    pictures(tmp_path / "all", 40)
    for part, numbers in (("part_1", range(20)), ("part_2", range(20, 40))):
        (tmp_path / "set" / part).mkdir(parents=True)
        for at in numbers:
            (tmp_path / "all" / f"{at}.PNG").rename(tmp_path / "set" / part / f"{at}.PNG")
    names = [[f"{at}{suffix}", "ab"[at % 2]] for at in range(40)]
    table = csv_file(names, "set/metadata.csv", ("image_id", "dx"))
    assert read(table).record.rows_used == 40
    (tmp_path / "set" / "part_2" / "9.PNG").write_bytes(image(9))
    with pytest.raises(DataError, match=r"9.PNG lies in part_1 and part_2|such as 9.PNG, and part_1, part_2 each"):
        read(table)
    (tmp_path / "set" / "part_2" / "9.PNG").unlink()
    pictures(tmp_path / "set" / "few", 3)
    pictures(tmp_path / "set" / "whole", 40)
    assert all(b"/whole/" in path for path in read(table).train.table.column("input").to_pylist())


def test_folders_of_splits_in_the_paths_are_splits(tmp_path: Path, csv_file: Callable[..., Path]) -> None:
    pictures(tmp_path / "train")
    pictures(tmp_path / "val")
    given = [[f"{split}/{name}", label] for split in ("train", "val") for name, label in rows()]
    data = read(csv_file(given, "metadata.csv", ("file_name", "label")))
    assert [(s.origin, s.size) for s in data.record.splits][1] == ("given", 20)
    assert data.record.columns["split"] == "split"
    table = csv_file(given, "metadata.csv", ("file_name", "label"))
    (row, *_) = unlabelled([str(table)], "image", None, {"image": "file_name"})
    assert set(row.columns) == {"file_name", "label"}, "and no column that was made"


def test_json_with_the_bytes_of_images(json_file: Callable[..., Path]) -> None:
    cells = [
        {"image": {"bytes": base64.b64encode(image(at)).decode(), "path": None}, "label": at % 2} for at in range(20)
    ]
    data = read(json_file(cells))
    assert data.train.inputs([0])[0] == image(int(data.train.ids[0]))
