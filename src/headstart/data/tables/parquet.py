"""Parquet files and other Arrow batches."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from headstart.core.errors import DataError
from headstart.data.audit.findings import Findings
from headstart.data.images.formats import missing_reader
from headstart.data.tables.spread import positions
from headstart.data.tables.table import SAMPLE, Chunk, Column

_BATCH = 1_024
"rows per batch; small, because a row may be an image"


class Parquet:
    """One Parquet file. Class names come from the features of the `datasets` library in the schema."""

    def __init__(self, path: Path) -> None:
        self.path, self.name = path, path.name
        if path.suffix.lower() == ".gz":
            raise DataError(
                f"can't read {path}: Parquet is packed inside. Unpack it (gunzip), and give the .parquet file."
            )
        try:
            with pq.ParquetFile(path) as file:
                self.schema, self.rows = file.schema_arrow, file.metadata.num_rows
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"can't read {path} as Parquet: {_short(error)} Is the file whole?") from error
        if double := sorted({name for name in self.schema.names if self.schema.names.count(name) > 1}):
            raise DataError(f"{path} has several columns called {', '.join(double)}. Give each its own name.")
        if self.rows == 0:
            raise DataError(f"{path} has columns but no rows.")
        self.class_names = declared_class_names(self.schema)

    def _batches(self, columns: Sequence[str] | None) -> Iterator[pa.RecordBatch]:
        try:
            with pq.ParquetFile(self.path) as file:
                yield from file.iter_batches(batch_size=_BATCH, columns=None if columns is None else list(columns))
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"can't read {self.path} as Parquet: {_short(error)} Is the file whole?") from error

    format = "Parquet"

    def sample(self) -> list[Column]:
        """Values of rows spread over the file; images and other bytes of the first rows, because they are large."""
        first = unnested(pa.Table.from_batches([next(self._batches(None)).slice(0, SAMPLE)]))
        light = [field.name for field in self.schema if not _is_heavy(field.type)]
        if self.rows <= SAMPLE or not light:
            return columns_of(first, self.class_names)
        at, parts, wanted = 0, [], positions(self.rows)
        for batch in self._batches(light):
            inside = wanted[(wanted >= at) & (wanted < at + batch.num_rows)] - at
            parts.append(batch.take(pa.array(inside)))
            at += batch.num_rows
        light_ones = unnested(pa.Table.from_batches(parts))
        spread = {column.name: column for column in columns_of(light_ones, self.class_names)}
        return [spread.get(column.name, column) for column in columns_of(first, self.class_names)]

    def chunks(self, columns: Sequence[str], findings: Findings) -> Iterator[Chunk]:
        at = 0
        for batch in self._batches(columns):
            places = [f"{self.name}:{at + row}" for row in range(1, batch.num_rows + 1)]
            at += batch.num_rows
            table = unnested(pa.Table.from_batches([batch]))
            yield Chunk(places, {name: values(table.column(name), self.path.parent) for name in columns})


def unnested(table: pa.Table) -> pa.Table:
    """Flattens structs into columns such as `review.text`, like `json_shapes.flat`; images are kept."""
    names, columns = list(table.column_names), list(table.columns)
    while (at := next((i for i, one in enumerate(columns) if _is_nested(one.type)), None)) is not None:
        names[at : at + 1] = [f"{names[at]}.{field.name}" for field in columns[at].type]
        columns[at : at + 1] = columns[at].flatten()
    return pa.Table.from_arrays(columns, names=names)


def _is_nested(kind: pa.DataType) -> bool:
    return pa.types.is_struct(kind) and kind.num_fields > 0 and kind.get_field_index("bytes") < 0


def _is_heavy(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        return any(_is_heavy(field.type) for field in kind)
    return _is_binary(kind)


def _is_binary(kind: pa.DataType) -> bool:
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def columns_of(table: pa.Table, class_names: dict[str, tuple[str, ...]]) -> list[Column]:
    return [
        Column(name, tuple(_texts(found) if _is_binary(column.type) else found), class_names.get(name, ()))
        for name, column in zip(table.column_names, table.columns)
        for found in [values(column, None)]
    ]


def values(column: pa.Array | pa.ChunkedArray, folder: Path | None) -> list[Any]:
    """Python values; an image struct {bytes, path} becomes its bytes, read from `folder` if it only has a path."""
    if pa.types.is_struct(column.type) and column.type.get_field_index("bytes") >= 0:
        return [_image(value, folder) for value in column.to_pylist()]
    return list(column.to_pylist())


def _texts(found: list[Any]) -> list[Any]:
    """Bytes as text if all are UTF-8, as Spark writes texts; else unchanged."""
    given = [value for value in found if value is not None]
    if any(not value or min(value[:64]) < 9 or missing_reader(value) for value in given):
        return found
    try:
        return [None if value is None else value.decode() for value in found]
    except UnicodeDecodeError:
        return found


def _image(value: dict[str, Any] | None, folder: Path | None) -> bytes | None:
    if value is None or value["bytes"] is not None:
        return None if value is None else value["bytes"]
    path = value.get("path")
    if not path:
        return None
    try:
        return (Path(path) if folder is None else folder / path).read_bytes()
    except OSError:
        return b""  # empty bytes, so that the audit reports the image as unreadable


def declared_class_names(schema: pa.Schema) -> dict[str, tuple[str, ...]]:
    """Class names by column, from the key `huggingface` of the schema's metadata; {} if absent or broken."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
    except (KeyError, ValueError, TypeError):
        return {}
    found: dict[str, tuple[str, ...]] = {}
    for name, feature in features.items():
        inner = feature
        if isinstance(feature, list) and feature:
            inner = feature[0]
        elif isinstance(feature, dict) and isinstance(feature.get("feature"), dict):
            inner = feature["feature"]
        if isinstance(inner, dict) and inner.get("_type") == "ClassLabel" and isinstance(inner.get("names"), list):
            found[name] = tuple(str(label) for label in inner["names"])
    return found


def _short(error: BaseException) -> str:
    return str(error).splitlines()[0][:200].rstrip(".") + "."
