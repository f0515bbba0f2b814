"""JSON that holds a table in one value is the same rows as JSON lines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from headstart.core.errors import DataError
from headstart.data.audit.findings import Findings
from headstart.data.tables.json_lines import JsonLines

ROWS = [{"text": "soup", "label": "food"}, {"text": "tea", "label": "drink"}, {"text": "a\nb", "label": "food"}]
FRAME = pd.DataFrame(ROWS)


def rows_of(path: Path) -> list[dict[str, Any]]:
    table = JsonLines(path)
    names = [column.name for column in table.sample()]
    found = []
    for chunk in table.chunks(names, Findings()):
        found += [dict(zip(names, values)) for values in zip(*(chunk.columns[name] for name in names))]
    return found


@pytest.mark.parametrize("orient", ["records", "split", "columns", "index", "table"])
@pytest.mark.parametrize("indent", [None, 2])
def test_pandas_orients(tmp_path: Path, orient: Any, indent: int | None) -> None:
    FRAME.to_json(tmp_path / "data.json", orient=orient, indent=indent)
    assert [{name: row[name] for name in ("text", "label")} for row in rows_of(tmp_path / "data.json")] == ROWS


@pytest.mark.parametrize(
    "value", [{"data": ROWS}, {"version": "1.1", "data": ROWS}, {"rows": ROWS}, FRAME.to_dict(orient="list")]
)
def test_other_shapes(tmp_path: Path, value: Any) -> None:
    (tmp_path / "data.json").write_text(json.dumps(value))
    assert rows_of(tmp_path / "data.json") == ROWS


def test_objects_over_several_lines(tmp_path: Path) -> None:
    (tmp_path / "data.jsonl").write_text("\n".join(json.dumps(row, indent=1) for row in ROWS))
    assert rows_of(tmp_path / "data.jsonl") == ROWS
    (tmp_path / "data.json").write_text("[" + ",\n".join(map(json.dumps, ROWS)) + "\n]")
    assert rows_of(tmp_path / "data.json") == ROWS


def test_what_holds_no_rows_or_several_tables_is_named(tmp_path: Path) -> None:
    path = tmp_path / "data.json"
    for content in ('{"data": []}', "[]", '{"columns": ["text", "label"], "data": []}'):
        path.write_text(content)
        with pytest.raises(DataError, match="a table without rows"):
            rows_of(path)
    path.write_text(json.dumps({"train": ROWS, "test": ROWS}))
    with pytest.raises(DataError, match=r"several tables \(train, test\)"):
        rows_of(path)
    path.write_text(json.dumps(ROWS)[:-9])
    with pytest.raises(DataError, match="can't be read"):
        rows_of(path)


def test_inner_objects_are_columns(tmp_path: Path) -> None:
    rows = [
        {"review": {"text": "soup", "by": {"id": 7}}, "label": "food"},
        {"review": {"text": "tea"}, "label": "drink"},
    ]
    (tmp_path / "data.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert rows_of(tmp_path / "data.jsonl") == [
        {"review.text": "soup", "review.by.id": 7, "label": "food"},
        {"review.text": "tea", "review.by.id": None, "label": "drink"},
    ]
