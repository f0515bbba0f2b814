"""Made splits: whole units, the wanted shares, every class in training, the same for the same seed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from headstart.core.errors import DataError
from headstart.data.ingest.splits import by_class, by_group

SHARES = {"test": 0.2, "validation": 0.15}


def checked(parts: dict[str, np.ndarray], units: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """The rows left for training, after the promises that every layout keeps."""
    split = np.zeros(len(units), dtype=int)
    for code, rows in enumerate(parts.values(), start=1):
        assert len(rows) > 0
        assert (split[rows] == 0).all(), "splits overlap"
        split[rows] = code
    for unit in np.unique(units):
        assert len(set(split[units == unit])) == 1, "a unit is cut"
    assert set(classes[split == 0]) == set(classes), "a class is missing from training"
    return np.flatnonzero(split == 0)


@settings(max_examples=150)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 60)), min_size=1, max_size=80), st.integers(0, 3))
def test_by_class(rows: list[tuple[int, int]], seed: int) -> None:
    units = np.array([unit for _, unit in rows])
    first = {unit: cls for cls, unit in reversed(rows)}
    classes = np.array([first[unit] for unit in units])  # a unit has one class
    try:
        parts = by_class(classes, units, SHARES, seed)
    except DataError:
        distinct, kinds = len(set(units)), len(set(classes))
        assert distinct < 3 or distinct - kinds < 2, "it could have been done"
        return
    checked(parts, units, classes)
    again = by_class(classes, units, SHARES, seed)
    assert all((parts[name] == again[name]).all() for name in SHARES)


def test_shares_and_class_balance_are_kept() -> None:
    classes = np.repeat([0, 1, 2], [500, 300, 100])
    parts = by_class(classes, np.arange(900), SHARES, 0)
    assert len(parts["test"]) == 180
    assert len(parts["validation"]) == 135
    assert np.bincount(classes[parts["test"]]).tolist() == [100, 60, 20]
    other = by_class(classes, np.arange(900), SHARES, 1)
    assert not np.array_equal(parts["test"], other["test"])


@settings(max_examples=150)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 12)), min_size=1, max_size=80), st.integers(0, 3))
def test_by_group(rows: list[tuple[int, int]], seed: int) -> None:
    classes, groups = np.array(rows).T
    try:
        parts = by_group(classes, groups, SHARES, seed)
    except DataError:
        holders = {c: len(set(groups[classes == c])) for c in set(classes)}
        assert len(set(groups)) < 3 or min(holders.values()) < 3, "it could have been done"
        return
    checked(parts, groups, classes)


def test_group_shares_are_near_the_wanted_ones() -> None:
    rng = np.random.default_rng(0)
    groups = rng.integers(0, 200, 4_000)
    parts = by_group(groups % 3, groups, SHARES, 0)
    assert len(parts["test"]) / 4_000 == pytest.approx(0.2, abs=0.02)
    assert len(parts["validation"]) / 4_000 == pytest.approx(0.15, abs=0.02)


@given(st.integers(3, 30))
def test_few_groups_still_fill_every_split(count: int) -> None:
    groups = np.repeat(np.arange(count), 5)
    classes = np.tile([0, 1, 0, 1, 0], count)
    assume(count >= 3)
    checked(by_group(classes, groups, SHARES, 0), groups, classes)


def test_too_little_to_split_is_refused_with_the_numbers() -> None:
    with pytest.raises(DataError, match="there are 5 usable rows .2 different inputs"):
        by_class(np.zeros(5, dtype=int), np.array([0, 0, 0, 1, 1]), SHARES, 0)
    with pytest.raises(DataError, match="there are 5 usable rows .2 groups"):
        by_group(np.zeros(5, dtype=int), np.array([0, 0, 0, 1, 1]), SHARES, 0)


def test_a_class_of_one_group_goes_to_training() -> None:
    """Training is full of class 0 when the group with the only example of class 1 comes, and must take it still."""
    groups = np.repeat([0, 1, 2, 3], [100, 11, 10, 10])
    classes = np.zeros(131, dtype=int)
    classes[100] = 1
    left = checked(by_group(classes, groups, SHARES, 0), groups, classes)
    assert 100 in left
