"""Possible group columns, such as `patient`: rows with the same value may have to stay in one split."""

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
"common names of group columns"
FEWEST = 5
"minimum number of values of a group column; fewer are categories"
FEWEST_UNNAMED = 20
"minimum number of values of a group column with any name, if it holds texts"
LONGEST = 60
"minimum mean length of such texts, in characters"
SHARE = 0.05
"minimum share of rows outside training with a value of training that gives a finding"


def candidates(columns: Sequence[Column], taken: Sequence[str]) -> list[str]:
    """Names of the columns that could be groups."""
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
    """Findings on group columns whose values lie in training and in other splits.

    The store holds hashes of their values in the columns `unit 0`, `unit 1`, …, zero if missing.
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
