"""Other columns of a source, by the place of their rows: what was not kept when the examples were read."""

from __future__ import annotations

from typing import Any

from headstart.core.errors import DataError, suggestion
from headstart.data.audit.findings import Findings
from headstart.data.tables.sources import resolve
from headstart.data.tables.table import readable


def column_by_place(source: Any, name: str, validation: Any = None, test: Any = None) -> dict[str, str]:
    """Place (`reviews.csv:17`) to what the column holds there, over all files of the source; "" where it is empty.

    Raises `DataError` where no file has the column.
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
        raise DataError(f"{source} has no column {name!r}.{suggestion(name, known)} Columns: {', '.join(known)}.")
    return found
