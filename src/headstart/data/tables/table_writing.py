"""Writing rows as CSV, TSV, JSON lines or Parquet in chunks, so that memory does not grow."""

from __future__ import annotations

import contextlib
import csv
import gzip
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from headstart.core.disk.files import replacing
from headstart.core.errors import ConfigurationError, DataError

Row = Mapping[str, Any]
Write = Callable[[Sequence[Row]], None]
WRITABLE = (".csv", ".tsv", ".jsonl", ".parquet", ".csv.gz", ".tsv.gz", ".jsonl.gz")
_FORMULA = re.compile(r"[=+\-@\t\r]")
"first signs of a formula in spreadsheets"


def format_for(out: str | Path) -> str:
    """`csv`, `tsv`, `jsonl` or `parquet` by the file name. Raises `ConfigurationError` for others."""
    name = Path(out).name.lower()
    if not name.endswith(WRITABLE):
        raise ConfigurationError(f"can't write {out}: give a file that ends in {', '.join(WRITABLE)}.")
    return name.removesuffix(".gz").rpartition(".")[2]


@contextlib.contextmanager
def writing(out: str | Path, columns: Sequence[str], *, safe: bool = False, lines: bool = False) -> Iterator[Write]:
    """Yields a function that writes rows into `out`, in the format of its name; the file appears when it is complete.

    columns: header of the file, and order of the cells; JSON lines get all keys of a row.
    safe: put an apostrophe before cells of CSV and TSV that a spreadsheet would run as a formula.
    lines: JSON lines are required; raises `ConfigurationError` if the name has another format.
    """
    form = format_for(out)
    if lines and form != "jsonl":
        raise ConfigurationError(f"--json writes JSON lines, and {out} is named otherwise; call it .jsonl.")
    with replacing(out) as temporary:
        if form == "parquet":
            with _Parquet(temporary, columns) as parquet:
                yield parquet.write
        else:
            packed = str(out).lower().endswith(".gz")
            # because JSON can hold a lone surrogate, which becomes `?`
            how: Any = {"mode": "wt", "encoding": "utf-8", "errors": "replace", "newline": ""}
            with gzip.open(temporary, **how) if packed else temporary.open(**how) as file:
                yield writer(file, columns, form, safe=safe)


def writer(file: IO[str], columns: Sequence[str], form: str, *, safe: bool = False, ascii_only: bool = False) -> Write:
    """Writes the header into an open text file, and returns a function that writes rows."""
    if form == "jsonl":

        def lines(rows: Sequence[Row]) -> None:
            for row in rows:
                file.write(_json(row, ascii_only) + "\n")

        return lines
    sign = "\t" if form == "tsv" else ","
    plain = csv.writer(file, delimiter=sign, lineterminator="\n")
    # because Python before 3.13 leaves a carriage return unquoted, which readers take as the end of the row
    quoted = csv.writer(file, delimiter=sign, lineterminator="\n", quoting=csv.QUOTE_ALL)
    cell = _safe if safe else _cell

    def write(cells: Sequence[str]) -> None:
        (quoted if any("\r" in one for one in cells) else plain).writerow(cells)

    def table(rows: Sequence[Row]) -> None:
        for row in rows:
            write([cell(row.get(name)) for name in columns])

    write([cell(name) for name in columns])
    return table


def _cell(value: Any) -> str:
    """The value in full, because cells of the user must not be rounded."""
    if isinstance(value, (list, tuple, dict)):
        return _json(value, ascii_only=False)
    return "" if value is None else str(value)


def _json(value: Any, ascii_only: bool) -> str:
    """JSON by RFC 8259; NaN and Infinity become null, because it lacks them."""
    try:
        return json.dumps(value, ensure_ascii=ascii_only, default=str, allow_nan=False)
    except ValueError:
        return json.dumps(_finite(value), ensure_ascii=ascii_only, default=str, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {name: _finite(inner) for name, inner in value.items()}
    return [_finite(inner) for inner in value] if isinstance(value, (list, tuple)) else value


def _safe(value: Any) -> str:
    text = _cell(value)
    return f"'{text}" if isinstance(value, str) and _FORMULA.match(text) and not _is_number(text) else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


class _Parquet:
    """Parquet writer; types come from the first rows, and a column with none or several types is text."""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self.path, self.columns = path, list(columns)
        self._file: Any = None

    def __enter__(self) -> _Parquet:
        return self

    def __exit__(self, *details: object) -> None:
        if self._file is not None:
            self._file.close()

    def write(self, rows: Sequence[Row]) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        values = {name: [_plain(row.get(name)) for row in rows] for name in self.columns}
        if self._file is None:
            self._schema = pa.schema([(name, _type(values[name])) for name in self.columns])
            self._file = pq.ParquetWriter(self.path, self._schema)
        arrays = []
        for field in self._schema:
            column = values[field.name]
            if pa.types.is_string(field.type):
                column = [None if value is None else _cell(value) for value in column]
            try:
                arrays.append(pa.array(column, field.type))
            except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
                raise DataError(
                    f"the column {field.name!r} starts as {field.type} and changes its type ({error}); Parquet needs "
                    "one type per column. Write .jsonl instead."
                ) from error
        self._file.write_table(pa.table(arrays, self._schema))


def _plain(value: Any) -> Any:
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


def _type(values: Sequence[Any]) -> Any:
    import pyarrow as pa

    try:
        found = pa.array(values).type
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        return pa.string()
    return pa.string() if pa.types.is_null(found) else found
