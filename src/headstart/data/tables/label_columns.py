"""Detects the label column by common names, else by few repeated values."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from headstart.core.errors import DataError
from headstart.data.tables.column_names import IDS, LABELS, OTHERS, PLAIN_LABEL, SHOWN, bare, shown
from headstart.data.tables.other_kinds import other_kind
from headstart.data.tables.split_columns import flag
from headstart.data.tables.table import Column

FEW = 50
"maximum number of distinct values in the sample for a label column without a common name"
_DATE = re.compile(r"\d{4}-\d\d?-\d\d?([T ].*)?|\d\d?[./]\d\d?[./]\d{2,4}( .*)?")


def find_label(free: Sequence[Column], source: str, columns: Sequence[Column]) -> tuple[list[str], bool]:
    """The label column, or several one-hot columns; and True if it was found by its name.

    free: columns without another role. Raises `DataError` if the choice is not clear.
    """
    free = [column for column in free if column.kind not in ("image", "none") and bare(column.name).lower() not in IDS]
    plain = first(PLAIN_LABEL, free)
    plain = [name for name in plain if bare(name).lower() == bare(plain[0]).lower()]
    if len(plain) == 1:
        return plain, True
    named = plain or first(LABELS, free)
    if len(named) == 1:
        return named, True
    few = [c for c in free if 2 <= c.distinct <= max(2, min(FEW, len(c.values) // 2))]
    if not named:
        if len(hot := _one_hot(few)) > 1:
            return hot, False
        likely = few if len(few) < 2 else [c for c in few if c.name.lower() not in OTHERS and not _are_dates(c)]
        if len(likely) == 1:
            return [likely[0].name], False
    if not named and (kind := other_kind(columns)):
        raise DataError(f"{source}: {kind}")
    candidates = named or [column.name for column in few]
    what = f"{shown(candidates, ' and ')} could each be" if candidates else "no column looks like"
    flags = [column.name for column in free if _is_flag(column)]
    several = f"; if each is a class: --label {','.join(flags)}" if 1 < len(flags) <= SHOWN else ""
    raise DataError(f"{source}: {what} the label. Name it with --label{several}. {listed(columns)}")


def first(names: Iterable[str], columns: Sequence[Column]) -> list[str]:
    """Names of the columns that match one of `names`, ignoring case, in the order of `names`."""
    return [column.name for name in names for column in columns if bare(column.name).lower() == name.lower()]


def listed(columns: Sequence[Column]) -> str:
    return f"Columns: {shown(f'{column.name} ({column.kind})' for column in columns)}."


def _one_hot(few: Sequence[Column]) -> list[str]:
    """One-hot columns: those of 0 and 1, if each row has a single 1."""
    if len(few) < 2 or not all(map(_is_flag, few)):
        return []
    marked = zip(*(map(flag, column.values) for column in few))
    return [column.name for column in few] if all(sum(map(bool, row)) == 1 for row in marked) else []


def _is_flag(column: Column) -> bool:
    return {flag(value) for value in column.values} == {True, False} or is_signed(column)


def is_signed(column: Column) -> bool:
    """True for a column of 1 and -1, as CelebA writes its attributes."""
    found = {str(value).strip().removesuffix(".0") for value in column.values if value is not None and value != ""}
    return found == {"1", "-1"}


def _are_dates(column: Column) -> bool:
    return all(isinstance(value, str) and bool(_DATE.fullmatch(value.strip())) for value in column.values if value)
