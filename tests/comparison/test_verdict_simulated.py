"""How often the verdict claims what is not so, and how often it can claim what is, by simulation (slow).

One method costs 100 seconds and is right on 90 % of all examples; cheaper ones lose a known number of points against
it. Three seeds each, examples of differing difficulty that all methods share, seeds that differ by 0.5 points.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import expit

from headstart.comparison.rows.table import rows_with_differences
from headstart.comparison.verdict.verdict import verdict
from headstart.core.records.comparison import Row
from headstart.stats.metrics import metric
from stats.simulated import answers, binary

ACCURACY = metric("single_label", "accuracy")
HARD = 2.0
"standard deviation of the examples' difficulty, in logits"
LUCK = 0.08
"of the seeds' luck; about 0.5 points at 90 %"
TIMES = 200


def ability(share: float) -> float:
    """The mean logit at which this share of all examples is right."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    return float(brentq(lambda mean: float(expit(mean + HARD * nodes) @ weights / weights.sum()) - share, -9, 9))


def claimed(size: int, lost: float, cheaper: int, times: int = TIMES, seeds: int = 3) -> float:
    """Share of comparisons in which a cheaper method, all of them `lost` points worse, is called within one point."""
    rng = np.random.default_rng([size, int(1000 * lost), cheaper, seeds])
    abilities = [ability(0.9), *[ability(0.9 - lost)] * cheaper]
    names = ["full", *(f"cheap{i}" for i in range(cheaper))]
    rows = [
        Row(name, "ok", "accuracy", validation_value=1.0 - 0.1 * (i > 0), train_seconds=1.0 if i else 100.0)
        for i, name in enumerate(names)
    ]
    found = 0
    for _ in range(times):
        difficulty = HARD * rng.standard_normal(size)
        runs = {
            name: binary(answers(rng, difficulty, seeds, mean, LUCK)) for name, mean in zip(names, abilities)
        }  # fmt: skip
        table = rows_with_differences(rows, runs, ACCURACY, draws=300, permutations=10)
        got = verdict(table, ACCURACY, test_size=size, prefer="training")
        assert got.reference == "full"
        assert (got.method != "full") == (got.cheapest is not None), "what is recommended is what is claimed"
        found += got.cheapest is not None
    return found / times


@pytest.mark.slow
@pytest.mark.parametrize("cheaper", [1, 10])
@pytest.mark.parametrize("size", [100, 300, 1000])
def test_three_points_worse_is_called_within_one_in_at_most_one_of_twenty(size: int, cheaper: int) -> None:
    found = claimed(size, 0.03, cheaper)
    print(f"3 points worse, {size} test examples, {cheaper} cheaper: claimed in {found:.1%}")
    assert found <= 0.05


@pytest.mark.slow
@pytest.mark.parametrize("cheaper", [1, 10])
@pytest.mark.parametrize("size", [300, 3000])
def test_at_the_margin_itself_the_chance_is_kept(size: int, cheaper: int) -> None:
    found = claimed(size, 0.01, cheaper)
    print(f"1 point worse, {size} test examples, {cheaper} cheaper: claimed in {found:.1%}")
    assert found <= 0.05 + 2 * (0.05 * 0.95 / TIMES) ** 0.5


@pytest.mark.slow
@pytest.mark.parametrize("cheaper", [1, 10])
def test_what_is_as_good_can_be_shown_with_enough_examples(cheaper: int) -> None:
    found = {size: claimed(size, 0.0, cheaper, times=100) for size in (300, 1000, 3000)}
    print(f"as good, {cheaper} cheaper: claimed in {', '.join(f'{p:.0%} of {size}' for size, p in found.items())}")
    assert found[300] < found[3000]
    assert found[3000] > 0.4
