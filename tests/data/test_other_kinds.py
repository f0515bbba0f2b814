"""Data of other kinds and tools: fastText's lines are read; chats, annotations, videos are named, with what to do."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from made_data import image, texts

from headstart.core.errors import DataError
from headstart.data.audit.findings import Findings
from headstart.data.ingest.unlabelled import stream
from headstart.data.read import read

File = Callable[..., Path]
ROWS = texts(60, ("bad", "good", "fair"))


def fast(sign: str = " ", more: str = "") -> str:
    return "".join(f"__label__{label}{more}{sign}{text}\n" for text, label in ROWS)


@pytest.mark.parametrize("name", ["a.txt", "cooking.train", "a.ft.txt", "a.csv", "a.txt.gz"])
def test_lines_of_fasttext_are_read(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(gzip.compress(fast().encode()) if name.endswith(".gz") else fast().encode())
    data = read(path)
    assert data.task.labels == ("bad", "fair", "good")
    assert (
        dict(zip(data.train.inputs(), data.train.targets)).items()
        <= {text: data.task.labels.index(str(label)) for text, label in ROWS}.items()
    )
    assert data.record.understood[1] == f"{name}: fastText, UTF-8"


def test_lines_of_fasttext_with_commas_and_several_labels(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text(fast(" , "))
    assert {*read(path).train.inputs()} < {text for text, _ in ROWS}
    path.write_text(fast(more=" __label__new") + "__label__old one more\n")
    data = read(path)
    assert (data.task.kind, data.task.labels) == ("multi_label", ("bad", "fair", "good", "new", "old"))
    assert [row.name for row in stream([str(path)], "text", None, {"text": "text"}, Findings())][-1] == "one more"
    path.write_text("no label first\n" + fast())
    with pytest.raises(DataError, match="no table by its name"):
        read(path)


def test_splits_of_fasttext_in_a_folder(tmp_path: Path) -> None:
    (tmp_path / "cooking.train").write_text(fast())
    (tmp_path / "cooking.valid").write_text("".join(f"__label__{label} {text} new\n" for text, label in ROWS[:9]))
    assert [len(read(tmp_path).train) > 40, len(read(tmp_path).validation)] == [True, 9]


CHAT = [{"role": "user", "content": "soup?"}, {"role": "assistant", "content": "yes"}]
STUDIO = {"id": 1, "annotations": [{"result": [{"value": {"choices": ["a"]}}]}], "data": {"text": "soup"}}


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"chosen": CHAT, "rejected": CHAT}, "'chosen' holds chats"),
        ({"prompt": "soup?", "chosen": "yes", "rejected": "no"}, "preferred answers.*--prompt and --answer"),
        (STUDIO, "full export of Label Studio: export it as JSON-MIN"),
        ({"text": "soup", "spans": [{"start": 0, "end": 4, "label": "FOOD"}]}, "spans of characters"),
    ],
)
def test_tables_for_other_tasks_are_named(json_file: File, row: dict[str, Any], said: str) -> None:
    rows = [{**row, **({"label": "ab"[at % 2]} if "label" in row else {})} for at in range(20)]
    with pytest.raises(DataError, match=said):
        read(json_file(rows))


def test_labels_of_chats_are_refused(json_file: File) -> None:
    rows = [{"messages": CHAT, "label": "ab"[at % 2]} for at in range(20)]
    with pytest.raises(DataError, match="'messages' holds chats.*leave --label out"):
        read(json_file(rows), label="label")


def coco() -> str:
    return json.dumps({"images": [{"id": 1}], "annotations": [{"image_id": 1}], "categories": [{"id": 1}]})


def test_coco_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(coco())
    with pytest.raises(DataError, match="COCO's annotations.*a table of file_name and label"):
        read(tmp_path / "a.json")


LAYOUTS = {
    "YOLO's annotations": ({"images/train": ".png", "images/val": ".png", "labels/train": ".txt"}, "labels/train"),
    "YOLO's  annotations": ({"train/images": ".png", "train/labels": ".txt", "valid/images": ".png"}, "train/labels"),
    "COCO's annotations": ({"train2017": ".png", "val2017": ".png", "annotations": "coco"}, "annotations"),
    "Pascal VOC's annotations": ({"JPEGImages": ".png", "Annotations": ".xml"}, "Annotations"),
    "masks": ({"images": ".png", "masks": ".png"}, "masks"),
}


@pytest.mark.parametrize("kind", LAYOUTS)
def test_annotations_of_objects_in_images_are_named(tmp_path: Path, kind: str) -> None:
    folders, place = LAYOUTS[kind]
    for name, suffix in folders.items():
        (tmp_path / name).mkdir(parents=True)
        for at in range(3):
            if suffix == "coco":
                (tmp_path / name / "instances_train2017.json").write_text(coco())
            else:
                (tmp_path / name / f"{at}{suffix}").write_bytes(image(at) if suffix == ".png" else b"0 0.5 0.5 1 1")
    kind = " ".join(kind.split())
    with pytest.raises(DataError, match=f"{place} holds {kind}.*a folder named after its class, or write a table"):
        read(tmp_path)


def test_classes_with_annotations_beside_them_are_read(tmp_path: Path) -> None:
    for name in "ab":
        for top, suffix in (("Images", "png"), ("Annotation", "xml")):
            (tmp_path / top / name).mkdir(parents=True)
            for at in range(10):
                (tmp_path / top / name / f"{at}.{suffix}").write_bytes(image(at + 100 * ord(name)))
    assert read(tmp_path).task.labels == ("a", "b")


@pytest.mark.parametrize(
    ("suffix", "said"), [("mp4", "videos.*save some frames"), ("wav", "sounds"), ("txt", "texts into a table")]
)
def test_folders_of_other_files_are_named(tmp_path: Path, suffix: str, said: str) -> None:
    for name in ("run", "walk"):
        (tmp_path / "train" / name).mkdir(parents=True)
        (tmp_path / "train" / name / f"1.{suffix}").write_bytes(b"soup")
    with pytest.raises(DataError, match=said):
        read(tmp_path)


@pytest.mark.parametrize("name", ["reviews.csv", "Reviews.CSV", "d\\Reviews.csv", "D/reviews.csv"])
def test_a_path_in_other_letters_is_shown(
    tmp_path: Path, csv_file: File, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = csv_file(ROWS, "Reviews.csv")
    if name.startswith(("d", "D")):
        (tmp_path / "d").mkdir()
        file = file.rename(tmp_path / "d" / "Reviews.csv")
    place = str(file.relative_to(tmp_path))
    for call in (read, lambda entry: list(stream([entry], "text", None, {}, Findings()))):
        with pytest.raises(DataError, match=f"Did you mean {place}\\?"):
            call(name)


def test_a_path_below_home(tmp_path: Path, csv_file: File, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    csv_file(ROWS)
    assert read("~/data.csv", test=["~/data.csv"]).record.rows_read == 120
    assert len(list(stream(["~/data.csv"], "text", None, {}, Findings()))) == 60
    with pytest.raises(DataError, match=r"no file or folder ~/date.csv"):
        read("~/date.csv")


def test_parts_of_one_table_are_one(tmp_path: Path) -> None:
    """As Spark and Hadoop write them; other tables of a folder are never put together."""
    for at in (0, 1):
        rows = "".join(f"{text},{label}\n" for text, label in ROWS[at::2])
        (tmp_path / f"part-0000{at}-ab.csv").write_text("text,label\n" + rows)
    (tmp_path / "_SUCCESS").write_text("")
    assert read(tmp_path).record.rows_used == 60
    (tmp_path / "more.csv").write_text("text,label\nsoup,bad\n")
    with pytest.raises(DataError, match=r"none of its tables \(more.csv, part.*is called train: name the one"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("reviews", "its name has no extension: if it is a table, call it .csv"),
        ("reviews.odd", r"\.odd is no format known here: if it is a table"),
        ("reviews.xml", "save its rows as CSV"),
        ("cat.png", "is an image: give the folder"),
    ],
)
def test_files_of_other_formats_are_named(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / name).write_text("text")
    with pytest.raises(DataError, match=said):
        read(tmp_path / name)


@pytest.mark.parametrize("sign", "~^@:\x01")
def test_another_delimiter_is_named(tmp_path: Path, sign: str) -> None:
    path = tmp_path / "a.csv"
    rows = f"text{sign}label\n" + "".join(f"{text}{sign}{label}\n" for text, label in ROWS)
    path.write_text(rows)
    with pytest.raises(DataError, match="seems to separate the cells. Write commas or tabs"):
        read(path)
    path.write_text(f"sep={sign}\n{rows}")
    assert read(path).record.rows_used == 60
    path.write_text(f"notes {sign} texts\n" + "".join(f"{text}\n" for text, _ in ROWS))
    assert len(list(stream([str(path)], "text", None, {}, Findings()))) == 60


def test_json_that_is_nearly_a_table(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    rows = [{"text": text, "label": label} for text, label in ROWS]
    path.write_text(json.dumps(rows[:30]) + "\n" + json.dumps(rows[30:]))
    assert read(path).record.rows_used == 60
    path.write_text("".join(f"{row}\n" for row in rows))
    with pytest.raises(DataError, match="dictionaries as Python prints them .write each row with json.dumps"):
        read(path)
    for content in ('["soup", "tea"]', '"soup"\n"tea"\n'):
        path.write_text(content)
        found = stream([str(path)], "text", None, {"text": "text"}, Findings())
        assert [(row.value, row.problem) for row in found] == [("soup", ""), ("tea", "")]
    path.write_text('{"text": "soup"}\n"tea"\n')
    assert [bool(row.problem) for row in stream([str(path)], "text", None, {}, Findings())] == [False, True]


def test_lists_where_texts_are_expected_are_named(json_file: File, csv_file: File) -> None:
    for name in ("text", "tokens"):
        with pytest.raises(DataError, match=f"'{name}' holds lists. Write each as one text"):
            read(json_file([{name: str(text).split(), "label": label} for text, label in ROWS]))
    words = [[f"s{at}", word, "NN", "O"] for at, (text, _) in enumerate(ROWS) for word in str(text).split()]
    file = csv_file(words, header=("Sentence #", "Word", "POS", "Tag"))
    with pytest.raises(DataError, match="one word a row.*as a .conll file"):
        read(file)


def test_images_that_lie_elsewhere_are_shown(tmp_path: Path) -> None:
    (tmp_path / "pics").mkdir()
    (tmp_path / "pics" / "A0.PNG").write_bytes(image(0))
    for path, place in {
        "pics/a0.png": "pics/A0.PNG",
        "C:\\me\\A0.PNG": "pics/A0.PNG",
        "x/A0.PNG": "pics/A0.PNG",
    }.items():
        (tmp_path / "a.csv").write_text("image,label\n" + f"{path},a\n{path},b\n" * 3)
        with pytest.raises(DataError, match=f"none of them exists.*Did you mean {tmp_path / place}"):
            read(tmp_path / "a.csv")
    with pytest.raises(DataError, match=r"Patterns with \* are not read: give the folder"):
        read(str(tmp_path / "pics" / "*.PNG"))


def test_predictions_name_what_they_were_given(tmp_path: Path, csv_file: File) -> None:
    def rows(entry: Any, modality: Any, text: str | None = None) -> list[Any]:
        return list(stream([str(entry)], modality, text, {"text": "a", "text_b": "b"}, Findings()))

    file = csv_file([["soup", "tea"]], header=("a", "b"))
    with pytest.raises(DataError, match=r"reads pairs of texts; name two columns with --text A,B"):
        rows(file, "text_pair", "a")
    with pytest.raises(DataError, match=r"reads texts; name one column with --text"):
        rows(file, "text", "a,b")
    with pytest.raises(DataError, match=r"there is no file .*new.csv"):
        rows(tmp_path / "new.csv", "text_pair")
    (tmp_path / "a.png").write_bytes(image(0))
    with pytest.raises(DataError, match=r"an image, and this model reads texts"):
        rows(tmp_path / "a.png", "text")
    (tmp_path / "new.csv").write_text("New reviews\nid,text\n1,soup\n")
    assert [row.name for row in rows(tmp_path / "new.csv", "text")] == ["soup"]
