"""Columns whose values repeat, such as `patient`: rows of one value may belong together, and then not in two splits."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from headstart.data.audit.findings import SHOWN, Findings
from headstart.data.ingest.store import gather
from headstart.data.tables.column_names import IDS, OTHERS
from headstart.data.tables.table import Column

_NAMED = re.compile(
    r"(^|.*[_ ])(patient|subject|person|user|author|speaker|writer|customer|client|participant|annotator|session|visit|"
    r"document|doc|article|thread|conversation|dialog(ue)?|family|case|study|video|recording|question|product|movie|"
    r"url|domain|device|sensor|account|household|specimen|sample|slide|animal|plant)([_ ]?(id|name|no|nr|number|key))?$"
)
"names of what rows commonly belong to"
FEWEST = 5
"values below which a column holds categories, and no units that rows belong to"
FEWEST_UNNAMED = 20
"the same for a column of texts with any name"
LONGEST = 60
"mean characters of such texts"
SHARE = 0.05
"of the rows outside of training that share a value with it, from which the column is noted"


def candidates(columns: Sequence[Column], taken: Sequence[str]) -> list[str]:
    """Names of the columns that could say which rows belong together."""
    return [column.name for column in columns if column.name not in taken and _repeats(column)]


def _repeats(column: Column) -> bool:
    values = [value for value in column.values if value is not None and value != ""]
    if column.kind not in ("text", "number") or len(values) < 0.9 * len(column.values):
        return False
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", column.name).lower()
    if name in IDS or column.distinct > 0.95 * len(values):
        return False
    if _NAMED.fullmatch(name) or name.endswith("_id"):
        return column.distinct >= FEWEST
    text = column.kind == "text" and name not in OTHERS and column.mean_length <= LONGEST
    return text and FEWEST_UNNAMED <= column.distinct <= len(values) / 1.5


def note_crossing(table: pa.Table, names: Sequence[str], split: np.ndarray, findings: Findings) -> None:
    """Notes each of these columns whose values lie in training and outside of it.

    The store holds hashes of their values in the columns `unit 0`, `unit 1`, …, zero for none.
    """
    for at, name in enumerate(names):
        values = table.column(f"unit {at}").to_numpy()
        held = np.flatnonzero((split > 0) & (values != 0))
        shared = held[np.isin(values[held], values[split == 0])]
        if len(held) and len(shared) > max(1, SHARE * len(held)):
            message = (
                f"values of the column {name!r} repeat: {{rows}} outside of training share theirs with training. If "
                f"such rows belong together, results are too good; --group {name} keeps them in one split"
            )
            findings.add("repeated_column", "warning", message, gather(table, "place", shared[:SHOWN]), len(shared))
