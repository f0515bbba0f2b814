"""Split columns: names of splits (`train`, `dev`, `test`), or flags such as `is_test`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from headstart.core.errors import DataError
from headstart.data.audit.findings import Findings
from headstart.data.ingest.split_names import split_of_words, splits_of
from headstart.data.tables.table import Column

_FLAG = re.compile(r"(?:is|in|for)_?(\w+?)(?:_?(?:set|split|flag|data))?|(\w+?)_?(?:flag|set|split)", re.IGNORECASE)
MOST_NAMES, MOST_WORDS = 12, 3
"maximum number of distinct values of a split column, and of words in each (`test_unseen` has two)"
SPLITS = ("split", "splits", "data_split", "partition")
FOLDS = ("fold", "folds", "kfold", "k_fold", "cv_fold", "fold_id")
"names of columns that seem to say splits, or folds"
ANSWERS = {"accept", "reject", "ignore"}
_TRUE = {"1", "1.0", "true", "t", "yes", "y", "x"}
_FALSE = {"", "0", "0.0", "false", "f", "no", "n"}
ALLOWED = "Allowed are 1 and 0, true and false, t and f, yes and no, y and n, and x for 1"
"the marks of `flag`, for a message"


@dataclass(frozen=True)
class Marks:
    """columns: one column of split names, or flags. means: the split of each flag; empty for names.

    other: the split that `holdout` and similar names mean.
    """

    columns: tuple[str, ...]
    means: tuple[str, ...] = ()
    other: str = "test"

    @property
    def unflagged(self) -> str:
        """The split of a row without any flag."""
        return next((split for split in ("train", "test", "validation") if split not in self.means), "train")

    def split(self, values: Sequence[Any], place: str) -> str:
        """A row's split. Raises `DataError` for an unknown value, or for two flags at once."""
        if not self.means:
            short = isinstance(values[0], str) and len(values[0].split()) <= MOST_WORDS
            found = split_of_words(values[0]) if short else None
            if found is None:
                raise DataError(
                    f"{place}: the column {self.columns[0]!r} holds {values[0]!r}. Allowed: train, validation, test."
                )
            return self.other if found == "other" else found
        on = [meaning for meaning, value in zip(self.means, values) if flag(value)]
        if len(on) > 1:
            raise DataError(f"{place}: {' and '.join(self.columns)} mark the row as {' and '.join(on)} at once.")
        return on[0] if on else self.unflagged


def flag(value: Any) -> bool | None:
    """A cell as True or False; None if it is neither."""
    text = "" if value is None else str(value).strip().lower()
    return True if text in _TRUE else False if text in _FALSE else None


def find_marks(columns: Sequence[Column], taken: set[str | None], has_splits: bool = False) -> Marks | None:
    """Detects a column `split`, else one with only split names including train, else flags.

    has_splits: True if other splits are separate files; a column that says only train, or other words, is then ignored.
    Raises `DataError` if a column `split` holds other words.
    """
    free = [column for column in columns if column.name not in taken]
    for column in free:
        names = dict.fromkeys(v for v in column.values if v is not None and v != "" and not isinstance(v, (list, dict)))
        texts = [v for v in names if isinstance(v, str) and len(v.split()) <= MOST_WORDS]
        is_called_split = column.name.strip().lower() == "split"
        named = splits_of(texts, split_of_words) if is_called_split or len(names) <= MOST_NAMES else {}
        splits = {named.get(v) for v in names}
        marks = Marks((column.name,), other="validation" if "test" in map(split_of_words, texts) else "test")
        if is_called_split and splits - {None}:
            if has_splits and (None in splits or splits == {"train"}):
                continue
            if None in splits:
                odd = next(v for v in names if v not in named)
                raise DataError(f"the column {column.name!r} holds {odd!r}. Allowed: train, validation, test.")
            return marks
        if "train" in splits and len(splits) > 1 and None not in splits:
            return marks
    flags = {column.name: meaning for column in free if (meaning := _meaning(column))}
    return Marks(tuple(flags), tuple(flags.values())) if flags and len({*flags.values()}) == len(flags) else None


def _meaning(column: Column) -> str | None:
    """The split that a column of yes and no means by its name, or None."""
    found = _FLAG.fullmatch(column.name.strip())
    name = (found[1] or found[2]) if found else ""
    meaning = splits_of([name]).get(name)
    return meaning if meaning and {flag(value) for value in column.values} == {True, False} else None


def note_unused(columns: Sequence[Column], used: Sequence[str], findings: Findings) -> None:
    """Findings on columns that are called splits, folds or answers, and have no role."""
    for column in columns:
        name = column.name.strip().lower()
        if column.name in used:
            continue
        if name in FOLDS:
            message = (
                f"the column {column.name!r} is not used: --folds K makes its own folds, and "
                f"--group {column.name} keeps the rows of a fold in one split"
            )
            findings.add("fold", "note", message)
        elif name in SPLITS and 1 < column.distinct <= MOST_NAMES:
            held = ", ".join(dict.fromkeys(str(value) for value in column.values if value not in (None, "")))
            message = f"the column {column.name!r} is not used, because it holds {held}: write train, validation, test"
            findings.add("split", "warning", message, count=1)
        elif splits_of([name]) and {flag(value) for value in column.values} == {True, False}:
            message = f"the column {column.name!r} is not used: if it marks a split, call it is_{name}"
            findings.add("split", "warning", message, count=1)
        elif name == "answer" and {"accept"} < {*map(str, column.values)} <= ANSWERS:
            message = (
                "the column 'answer' is not used, though it has reject or ignore: leave out the rows that Prodigy's "
                f"annotators did not accept, or learn what they accept by --label {column.name}"
            )
            findings.add("answer", "error", message, count=1)
