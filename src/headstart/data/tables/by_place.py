"""Reads another column of a source later, by the places of the rows."""

from __future__ import annotations

from typing import Any

from headstart.core.errors import DataError, suggestion
from headstart.data.audit.findings import Findings
from headstart.data.tables.column_names import shown
from headstart.data.tables.sources import resolve
from headstart.data.tables.table import readable


def column_by_place(source: Any, name: str, validation: Any = None, test: Any = None) -> dict[str, str]:
    """Values of the column by place (`reviews.csv:17`) over all files of the source; `""` if empty.

    Raises `DataError` if no file has the column.
    """
    found: dict[str, str] = {}
    known: dict[str, None] = {}
    for tables in resolve(source, validation, test).values():
        for table in tables:
            names = [column.name for column in table.sample()]
            known |= dict.fromkeys(names)
            if name not in names:
                continue
            for chunk in readable(table, [name], Findings()):
                values = ("" if value is None else str(value) for value in chunk.columns[name])
                found |= dict(zip(chunk.places, values))
    if not found:
        raise DataError(f"{source} has no column {name!r}.{suggestion(name, known)} Columns: {shown(known)}.")
    return found
