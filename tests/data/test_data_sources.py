"""Every format and layout gives the same examples, with the place each came from."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made_data import finding, image, kinds, texts

from headstart.core.errors import DataError
from headstart.data.images.image import decode
from headstart.data.read import read

SOURCE = str(Path(__file__).parents[2] / "src")


def test_csv_places_are_the_line_on_which_a_row_begins(tmp_path: Path) -> None:
    rows = texts(30)
    lines = ["text,label"]
    at = {}
    for count, (text, label) in enumerate(rows):
        quoted = f'"{text}\nsecond, ""line""\n\nlast"' if count % 3 == 0 else text
        at[text] = 1 + "\n".join(lines).count("\n") + 1
        lines.append(f"{quoted},{label}")
        if count % 7 == 0:
            lines.append("")  # an empty line is passed over
    path = tmp_path / "data.csv"
    path.write_bytes(b"\xef\xbb\xbf" + "\n".join(lines).encode())
    data = read(path)
    assert data.record.columns == {"text": "text", "label": "label"}, "the byte-order mark is no part of the name"
    for part in (data.train, data.validation, data.test):
        for text, place in zip(part.inputs(), part.places(range(len(part)))):
            assert place == f"data.csv:{at[str(text).splitlines()[0]]}"
            assert "\n" not in str(text) or str(text).endswith('second, "line"\n\nlast')


@pytest.mark.parametrize("layout", ["csv", "crlf", "semicolon", "tsv", "jsonl", "array", "parquet", "gz", "utf16"])
def test_formats_agree(
    tmp_path: Path, layout: str, csv_file: Callable[..., Path], json_file: Callable[..., Path]
) -> None:
    rows = texts(40)
    rows[3][0] = 'a "quoted" word; é 日本 and more'
    expected = read(csv_file(rows, "expected.csv"))
    records = [{"text": text, "label": label} for text, label in rows]
    path = tmp_path / "other.csv"
    if layout == "csv":
        path = csv_file(rows, "other.csv")
    elif layout == "crlf":
        path.write_bytes(csv_file(rows).read_bytes().replace(b"\n", b"\r\n").replace(b"\r\r", b"\r"))
    elif layout == "semicolon":
        body = "\n".join('"' + str(t).replace('"', '""') + f'";{label}' for t, label in rows)
        path.write_text("text;label\n" + body, encoding="utf-8")
    elif layout == "tsv":
        path = tmp_path / "other.tsv"
        path.write_text("text\tlabel\n" + "\n".join(f"{t}\t{label}" for t, label in rows), encoding="utf-8")
    elif layout == "jsonl":
        path = json_file(records)
    elif layout == "array":
        path = tmp_path / "other.json"
        path.write_text(json.dumps(records, indent=1))
    elif layout == "parquet":
        path = tmp_path / "other.parquet"
        pq.write_table(pa.Table.from_pylist(records), path)
    elif layout == "gz":
        path = tmp_path / "other.csv.gz"
        path.write_bytes(gzip.compress(csv_file(rows).read_bytes()))
    else:
        path.write_bytes(csv_file(rows).read_text(encoding="utf-8").encode("utf-16"))
    data = read(path)
    assert data.train.inputs() == expected.train.inputs()
    assert data.record.fingerprint == expected.record.fingerprint
    assert data.task == expected.task


def test_a_tsv_without_quoting_keeps_lonely_quotes(tmp_path: Path) -> None:
    """As in GLUE's files: reading quotes there would swallow all rows up to the next one."""
    path = tmp_path / "data.tsv"
    path.write_text("sentence\tlabel\n" + "".join(f'"open {at} never closed\t{at % 2}\n' for at in range(30)))
    data = read(path)
    assert data.record.rows_used == 30
    assert str(data.train.inputs([0])[0]).startswith('"open')


@pytest.mark.parametrize("name", ["validation", "val", "valid", "dev"])
def test_a_folder_of_split_files(tmp_path: Path, name: str, csv_file: Callable[..., Path]) -> None:
    rows = texts(60)
    csv_file(rows[:30], "train.csv")
    csv_file(rows[30:40], f"{name}.csv")
    csv_file(rows[40:], "test.csv")
    csv_file(rows[:5], "train.de.csv")  # a translation beside it is no second train file
    data = read(tmp_path)
    assert [(s.name, s.size, s.origin) for s in data.record.splits] == [
        ("train", 30, "given"), ("validation", 10, "given"), ("test", 20, "given"),
    ]  # fmt: skip
    assert data.test.inputs()[0] == rows[40][0]
    every = np.concatenate([data.train.ids, data.validation.ids, data.test.ids])
    assert every.tolist() == list(range(60)), "numbered from train to test, whatever the file system's order"


def test_only_train_and_test_given(tmp_path: Path, csv_file: Callable[..., Path]) -> None:
    rows = texts(60)
    csv_file(rows[:40], "train.csv")
    csv_file(rows[40:], "test.csv")
    data = read(tmp_path, validation_share=0.25)
    assert [(s.size, s.origin) for s in data.record.splits] == [(30, "given"), (10, "made (stratified)"), (20, "given")]
    assert {p.split(":")[0] for p in data.validation.places(range(10))} == {"train.csv"}


def test_splits_by_option_and_by_column(csv_file: Callable[..., Path]) -> None:
    rows = texts(60)
    main, other = csv_file(rows[:40], "a.csv"), csv_file(rows[40:], "b.csv")
    by_option = read(main, test=other)
    assert by_option.test.inputs() == [row[0] for row in rows[40:]]
    marks = ["train"] * 40 + ["dev"] * 10 + ["test"] * 10
    column = csv_file([[*row, mark] for row, mark in zip(rows, marks)], "c.csv", ("text", "label", "split"))
    data = read(column)
    assert [(s.size, s.origin) for s in data.record.splits] == [(40, "given"), (10, "given"), (10, "given")]
    assert data.record.columns["split"] == "split"


def test_parquet_shards_with_images_and_class_names_as_the_hub_stores_them(tmp_path: Path) -> None:
    names = ["zebra", "ant", "bee"]  # declared order, not sorted
    features = {"image": {"_type": "Image"}, "label": {"_type": "ClassLabel", "names": names}}
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    for shard in range(2):
        pictures = [{"bytes": image(100 * shard + at), "path": f"{at}.png"} for at in range(30)]
        schema = pa.schema(
            [("image", kind), ("label", pa.int64())],
            metadata={b"huggingface": json.dumps({"info": {"features": features}}).encode()},
        )
        table = pa.table({"image": pictures, "label": [at % 3 for at in range(30)]}, schema=schema)
        (tmp_path / "data").mkdir(exist_ok=True)
        pq.write_table(table, tmp_path / "data" / f"train-0000{shard}-of-00002.parquet")
    data = read(tmp_path)
    assert data.task.modality == "image"
    assert data.task.labels == ("zebra", "ant", "bee")
    assert data.record.rows_used == 60
    assert decode(data.train.inputs([0])[0]).size == (24, 24)  # type: ignore[arg-type]


@pytest.mark.parametrize("splits", [False, True])
def test_image_folders(tmp_path: Path, splits: bool) -> None:
    for part in ("train", "val", "test") if splits else (".",):
        for label in ("cat10", "cat9"):
            folder = tmp_path / part / label / "inner"
            folder.mkdir(parents=True)
            for at in range(12):
                (folder / f"{at}.png").write_bytes(image(hash((part, label, at)) % 2**31))
    (tmp_path / ("train/cat9" if splits else "cat9") / "notes.txt").write_text("no image")
    data = read(tmp_path, workers=2)
    assert data.task.labels == ("cat9", "cat10")
    assert data.record.rows_used == (72 if splits else 24)
    assert kinds(data)["skipped"] == 1
    place = data.train.places([0])[0]
    assert (tmp_path / place).read_bytes() == data.train.inputs([0])[0]
    assert read(tmp_path).record.fingerprint == data.record.fingerprint, "workers must not change anything"
    (tmp_path / place).unlink()
    with pytest.raises(DataError, match="any more"):
        data.train.inputs([0])


def test_saved_and_loaded_datasets(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    rows = texts(60)
    features = datasets.Features(
        {"content": datasets.Value("string"), "label": datasets.ClassLabel(names=["no", "maybe", "yes"])}
    )
    made = datasets.Dataset.from_dict(
        {"content": [row[0] for row in rows], "label": [-1 if at == 5 else 2 * (at % 2) for at in range(60)]},
        features=features,
    )
    both = datasets.DatasetDict({"train": made.select(range(40)), "unseen": made.select(range(40, 60))})
    both.save_to_disk(tmp_path / "both")
    data = read(tmp_path / "both", test="unseen")
    assert data.task.labels == ("no", "yes"), "a class that training does not show has no score"
    assert len(data.test) == 20
    assert finding(data, "missing_label").examples == ("train:6",)
    made.save_to_disk(tmp_path / "one")
    assert read(tmp_path / "one").record.fingerprint == read(made).record.fingerprint
    with pytest.raises(DataError, match=r"no split 'unsen'.*'unseen'"):
        read(both, test="unsen")


def test_a_hub_name_offline_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    code = (
        "from headstart.data.read import read\n"
        "from headstart.core.errors import DataError\n"
        "try: read('someone/nothing')\n"
        "except DataError as e: print(e)"
    )
    environment = {**os.environ, "PYTHONPATH": SOURCE, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    ran = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120)
    assert "Offline, give a local file" in ran.stdout
    assert "Traceback" not in ran.stderr


def test_importing_data_is_light_and_leaves_no_files(tmp_path: Path, csv_file: Callable[..., Path]) -> None:
    path = csv_file(texts(30))
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    code = (
        "import sys, headstart.data.read as d\n"
        f"data = d.read({str(path)!r})\n"
        "assert not {'torch', 'datasets', 'transformers'} & set(sys.modules)\n"
        "assert len(data.train.inputs()) == len(data.train)"
    )
    subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": SOURCE, "TMPDIR": str(temporary)},
        check=True,
        timeout=120,
    )
    assert list(temporary.iterdir()) == []


def test_progress_is_told_and_a_failure_leaves_no_files(tmp_path: Path, csv_file: Callable[..., Path]) -> None:
    seen: list[tuple[str, int]] = []
    store = tmp_path / "store"
    store.mkdir()
    read(csv_file(texts(30)), folder=store, progress=lambda stage, done: seen.append((stage, done)))
    assert ("reading", 30) in seen
    assert ("checking", 30) in seen
    with pytest.raises(DataError):
        read(csv_file([["", "a"]] * 30), folder=store)
    assert list(store.iterdir()) == []


@pytest.mark.parametrize(
    ("names", "origins", "passed"),
    [
        (("train.csv", "eval.csv"), ("given", "made (stratified)", "given"), ()),
        (("train.csv", "holdout.csv", "test.csv"), ("given", "given", "given"), ()),
        (("train.csv", "test_full.csv"), ("made (stratified)",) * 3, ("test_full.csv",)),
        (("mine_train.csv", "mine_test.csv"), ("given", "made (stratified)", "given"), ()),
        (("train.csv", "dev.csv", "test.csv", "extra.csv"), ("given", "given", "given"), ("extra.csv",)),
    ],
)
def test_files_of_splits_are_found_by_name_and_others_are_named(
    csv_file: Callable[..., Path], names: tuple[str, ...], origins: tuple[str, ...], passed: tuple[str, ...]
) -> None:
    rows = texts(160)
    folder = [csv_file(rows[at * 40 : at * 40 + 40], name).parent for at, name in enumerate(names)][-1]
    record = read(folder).record
    assert {split.name: split.origin == "given" for split in record.splits if split.name != "train"} == {
        name: origin == "given" for name, origin in zip(("validation", "test"), origins[1:])
    }
    assert tuple(e for f in record.findings if f.kind == "split" for e in f.examples) == passed


def test_splits_of_a_data_set_that_are_not_read_are_named() -> None:
    datasets = pytest.importorskip("datasets")
    rows = [{"text": text, "label": label} for text, label in texts(120)]
    parts = {"train": rows[:60], "validation_matched": rows[60:90], "holdout": rows[90:]}
    source = datasets.DatasetDict({name: datasets.Dataset.from_list(part) for name, part in parts.items()})
    record = read(source).record
    assert [(split.name, split.size) for split in record.splits][2] == ("test", 30)
    assert finding(read(source), "split").examples == ("validation_matched",)
    assert "split" not in kinds(read(source, validation="validation_matched"))
