"""Difference of differences: what a change costs, by hand and against the metric itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from headstart.judging.gate import checked
from headstart.stats.before_after import change_of, joined
from headstart.stats.intervals import interval
from headstart.stats.metrics import METRICS, metric
from headstart.stats.paired import compare
from headstart.stats.predictions import Predictions
from stats.simulated import binary, multi, real, single

MAKERS = {"single_label": single, "multi_label": multi, "regression": real}
EVERY = [(kind, name) for kind, named in METRICS.items() for name in named]


@pytest.mark.parametrize(("kind", "name"), EVERY)
def test_the_change_is_the_metric_after_less_before(kind: str, name: str) -> None:
    before, after = (MAKERS[kind](np.random.default_rng(seed), n=50) for seed in (0, 1))
    after = replace(after, targets=before.targets)
    m = metric(kind, name)
    change = change_of(m, before.kind)
    both = joined(before, after)
    assert change.of(both) == pytest.approx(m.of(after) - m.of(before))
    value, low, high = interval([both], change, draws=300)
    assert low <= value <= high
    assert compare([both], [joined(before, before)], change, draws=300).difference == pytest.approx(value)


def right(clean: int, changed: int) -> list[Predictions]:
    """Of 100 examples so many right, clean and changed; what is right under the change is right without."""
    return [joined(*(binary(np.arange(100)[None] < n)[0] for n in (clean, changed)))]


def test_what_gained_ten_points_and_lost_them_under_typos_is_less_robust() -> None:
    """Clean 80 to 95, typos 79 to 81: once called improved."""
    change = change_of(metric("single_label"), "single_label")
    base, tuned = right(80, 79), right(95, 81)
    (found,) = checked({"typos": (change, "not_regressed", 0.01)}, {"typos": base}, {"typos": tuned})
    assert (found.base.value, found.tuned.value) == pytest.approx((-0.01, -0.14))
    assert found.difference == pytest.approx(-0.13)
    assert (found.status, found.verdict, found.metric) == ("regressed", "failed", "accuracy_change")
    (found,) = checked({"typos": (change, "improved", 0.01)}, {"typos": tuned}, {"typos": base})
    assert found.verdict == "passed"


def test_agreement_on_a_few_examples_is_not_certainty() -> None:
    change = change_of(metric("single_label"), "single_label")
    found = compare(right(100, 100), right(100, 100), change)
    assert found.low < -0.01 < 0.01 < found.high
