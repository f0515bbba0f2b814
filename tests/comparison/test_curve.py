"""Learning curves: nested subsets, few labels to choose by too, and the whole test split."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from headstart.comparison.curve import largest, laws, sizes_for, subset
from headstart.core.errors import ConfigurationError
from headstart.core.records.curve import Reading
from headstart.data.embedded import digits
from headstart.stats.metrics import metric
from headstart.tasks.task import Task


def test_subsets_of_a_draw_are_nested_and_hold_so_many_a_class() -> None:
    data = digits()
    small, large = subset(data, 2, 0), subset(data, 4, 0)
    for part, size in ((small, 2), (large, 4)):
        assert np.bincount(part.train.targets).tolist() == [size] * 10
        assert np.bincount(part.validation.targets).max() <= size, "few labels to choose by as well"
        assert {split.name: split.size for split in part.record.splits}["train"] == 10 * size
    assert set(small.train.ids) < set(large.train.ids)
    assert np.array_equal(small.test.ids, data.test.ids)
    assert set(subset(data, 2, 1).train.ids) != set(small.train.ids)
    assert np.array_equal(subset(data, 2, 0).train.ids, small.train.ids)


def test_without_classes_a_size_is_of_examples() -> None:
    data = digits()
    numbers = replace(data, task=Task("regression", "image"))
    assert len(subset(numbers, 30, 0).train) == 30
    assert largest(numbers) == len(data.train)


def test_sizes() -> None:
    data = digits()  # five labels a class
    assert sizes_for(data, None) == (5,)
    assert sizes_for(data, [5, 3, 3]) == (3, 5)
    with pytest.raises(ConfigurationError, match="6 is not there: the data hold 1 to 5 labels"):
        sizes_for(data, [3, 6])


def test_a_law_is_read_in_the_metrics_own_direction() -> None:
    n = np.array([60, 180, 600, 1800])
    errors = 0.02 + 2.0 * n**-0.5
    accuracy = [Reading("probe", int(i), int(i), "ok", 1 - e, 1 - e - 1e-4, 1 - e + 1e-4, 3) for i, e in zip(n, errors)]
    loss = [Reading("probe", int(i), int(i), "ok", e, e - 1e-4, e + 1e-4, 3) for i, e in zip(n, errors)]
    (up,) = laws(accuracy, metric("single_label"), [0.95])
    (down,) = laws(loss, metric("single_label", "log_loss"), [0.05])
    assert up.limit == pytest.approx(0.02, abs=0.002)
    assert up.reach[0].examples == pytest.approx((2.0 / 0.03) ** 2, rel=0.05)
    assert down.reach[0].examples == pytest.approx(up.reach[0].examples, rel=0.01)
    assert [one.examples for one in up.forecasts] == [3600, 18000]
    assert up.forecasts[0].value == pytest.approx(1 - (0.02 + 2.0 / 60), abs=1e-3)
    assert up.forecasts[0].low <= up.forecasts[0].value <= up.forecasts[0].high
    assert down.forecasts[0].value == pytest.approx(1 - up.forecasts[0].value, abs=1e-3)
    assert laws(accuracy[:2], metric("single_label"), []) == []


def test_a_law_for_what_learns_from_scratch_but_none_for_the_most_frequent_class() -> None:
    values = [(60, 0.5), (180, 0.6), (600, 0.7), (1800, 0.8)]
    found = [
        Reading(name, n, n, "ok", value, value - 0.01, value + 0.01, 3)
        for name in ("scratch", "majority")
        for n, value in values
    ]
    assert [law.method for law in laws(found, metric("single_label"), [])] == ["scratch"]
