"""Columns of Parquet files and of `datasets`: inner fields, names that come twice, texts kept as bytes, dates."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made_data import image, texts

from headstart.core.errors import DataError
from headstart.data.read import read
from headstart.data.tables.parquet import unnested

TEXTS, LABELS = (list(column) for column in zip(*texts(60)))


def _parquet(folder: Path, table: pa.Table) -> Path:
    pq.write_table(table, folder / "data.parquet")
    return folder / "data.parquet"


def _dataset(_: Path, table: pa.Table) -> Any:
    datasets = pytest.importorskip("datasets")
    return datasets.Dataset(table)


@pytest.mark.parametrize("made", [_parquet, _dataset])
def test_inner_fields_are_columns_as_in_json(tmp_path: Path, made: Callable[[Path, pa.Table], Any]) -> None:
    inner = [{"text": text, "about": {"lang": "en", "label": label}} for text, label in zip(TEXTS, LABELS)]
    data = read(made(tmp_path, pa.table({"doc": inner})), text="doc.text", label="doc.about.label")
    assert data.task.labels == ("no", "yes")
    read_back = {text: target for part in (data.train, data.validation, data.test)
                 for text, target in zip(part.inputs(), part.targets)}  # fmt: skip
    assert read_back == {text: int(label == "yes") for text, label in zip(TEXTS, LABELS)}


def test_an_image_and_a_missing_object_stay_what_they_are() -> None:
    rows = [{"a": {"image": {"bytes": b"x", "path": None}, "n": 1}}, {"a": None}]
    found = unnested(pa.Table.from_pylist(rows))
    assert found.to_pylist() == [{"a.image": rows[0]["a"]["image"], "a.n": 1}, {"a.image": None, "a.n": None}]  # type: ignore[index]


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    columns = [pa.array(TEXTS), pa.array(LABELS), pa.array(LABELS)]
    with pytest.raises(DataError, match="several columns called label"):
        read(_parquet(tmp_path, pa.Table.from_arrays(columns, names=["text", "label", "label"])))


def test_bytes_are_texts_where_they_are_utf8_and_else_images(tmp_path: Path) -> None:
    data = read(_parquet(tmp_path, pa.table({"text": [f"{one} é".encode() for one in TEXTS], "label": LABELS})))
    assert data.task.modality == "text"
    assert {*data.train.inputs()} <= {f"{one} é" for one in TEXTS}
    pictures = [image(at) for at in range(20)]
    data = read(_parquet(tmp_path, pa.table({"image": pictures, "label": LABELS[:20]})))
    assert (data.task.modality, data.record.rows_used) == ("image", 20)


def test_dates_are_classes_as_in_csv(tmp_path: Path) -> None:
    days = [datetime.date(2020, 1, 1 + at % 2) for at in range(60)]
    data = read(_parquet(tmp_path, pa.table({"text": TEXTS, "label": days})))
    assert data.task.labels == ("2020-01-01", "2020-01-02")
