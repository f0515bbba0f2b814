import itertools
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.special import expit
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from headstart.stats.metrics import METRICS, metric
from headstart.stats.paired import Paired, agresti_min, compare, holm
from headstart.stats.predictions import Predictions
from stats.simulated import answers, binary, multi, real, scored, single

ACCURACY = metric("single_label")
MAKERS = {"single_label": single, "multi_label": multi, "regression": real}
EVERY = [(kind, name) for kind, named in METRICS.items() for name in named]


def other(p, rng, amount=0.5):
    """A second model for the same examples."""
    scores = p.scores + amount * rng.standard_normal(p.scores.shape)
    return Predictions(p.ids, p.targets, scores if p.kind == "regression" else expit(scores))


def discordant(b, c, n):
    """Runs of two models, b examples right only in the first, c only in the second, of n."""
    first, second = np.ones((2, 1, n), dtype=bool)
    second[:, :b] = False
    first[:, b : b + c] = False
    return binary(first), binary(second)


@given(st.integers(0, 12), st.integers(0, 12))
@settings(max_examples=40, deadline=None)
def test_one_seed_and_accuracy_is_mcnemars_exact_test(b, c):
    got = compare(*discordant(b, c, 40), ACCURACY, permutations=4000, draws=50)
    exact = mcnemar([[0, b], [c, 0]], exact=True).pvalue
    assert got.difference == pytest.approx((b - c) / 40)
    assert got.p_value == pytest.approx(exact, abs=1e-12 if b + c <= 12 else 0.04)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("kind", "name"), EVERY)
def test_p_values_are_scipys(kind, name):
    rng = np.random.default_rng(3)
    p, m = MAKERS[kind](rng, n=10), metric(kind, name)
    q = other(p, rng, 0.3)

    def difference(x, y, axis=None):
        return np.array([m.value(side.sum(0)) for side in (x, y)]) @ [1, -1]

    a, b = m.statistics(p), m.statistics(q)
    every = []
    for pattern in itertools.product([False, True], repeat=len(p)):
        swap = np.array(pattern)[:, None]
        every.append(difference(np.where(swap, b, a), np.where(swap, a, b)))
    expected = np.mean(np.abs(every) >= abs(difference(a, b)) - 1e-9)
    assert compare([p], [q], m, draws=20).p_value == pytest.approx(expected)
    if name in ("rmse", "mae", "log_loss"):  # statistics of one informative column, as SciPy's samples need

        def value(x, y, axis):
            return m.value(np.stack([x.sum(axis), x.shape[axis] + 0 * x.sum(axis)], -1)) - m.value(
                np.stack([y.sum(axis), y.shape[axis] + 0 * y.sum(axis)], -1)
            )

        theirs = stats.permutation_test((a[:, 0], b[:, 0]), value, permutation_type="samples", vectorized=True)
        assert expected == pytest.approx(theirs.pvalue, abs=1e-9)


@pytest.mark.parametrize(("kind", "name"), EVERY)
def test_random_swaps_agree_with_all_swaps(kind, name, monkeypatch):
    rng = np.random.default_rng(4)
    p, m = MAKERS[kind](rng, n=11), metric(kind, name)
    q = other(p, rng)
    exact = compare([p], [q], m, draws=20).p_value
    monkeypatch.setattr("headstart.stats.paired.EXACT", 0)
    assert compare([p], [q], m, permutations=20_000, draws=20).p_value == pytest.approx(exact, abs=0.015)


@pytest.mark.parametrize(("kind", "name"), EVERY)
def test_identical_predictions_do_not_differ_at_all(kind, name):
    p = MAKERS[kind](np.random.default_rng(0), n=30)
    q = p.take(np.random.default_rng(1).permutation(30))
    assert compare([p, p], [q, q], metric(kind, name)) == Paired(0.0, 0.0, 0.0, 1.0)


@pytest.mark.parametrize(("kind", "name"), EVERY)
@pytest.mark.parametrize("runs", [(1, 1), (2, 2), (2, 3)])
def test_the_order_of_the_methods_only_turns_the_sign(kind, name, runs):
    rng = np.random.default_rng(5)
    p, m = MAKERS[kind](rng, n=50), metric(kind, name)
    a, b = ([other(p, rng) for _ in range(r)] for r in runs)
    there = compare(a, b, m, permutations=2000, draws=4000)
    back = compare(b, a, m, permutations=2000, draws=4000)
    assert there.difference == pytest.approx(-back.difference)
    if not m.sizes:  # else noise is taken off both values
        assert there.difference == pytest.approx(np.mean([m.of(x) for x in a]) - np.mean([m.of(x) for x in b]))
    assert there.p_value == pytest.approx(back.p_value, abs=0.05)
    width = there.high - there.low
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low), abs=0.12 * width)
    assert there.low <= there.difference <= there.high


def test_interval_is_scipys_bootstrap_of_paired_errors():
    rng = np.random.default_rng(6)
    p = real(rng, n=300)
    q, m = other(p, rng, 0.3), metric("regression", "mae")
    got = compare([p], [q], m, draws=20_000)
    gap = m.statistics(p)[:, 0] - m.statistics(q)[:, 0]
    theirs = stats.bootstrap((gap,), np.mean, n_resamples=20_000, method="percentile", random_state=0)
    low, high = theirs.confidence_interval
    assert (got.low, got.high) == pytest.approx((low, high), rel=0.03)


def test_agreement_on_a_few_examples_is_not_certainty():
    targets = np.arange(20) % 2
    sure = Predictions(np.arange(20), targets, np.eye(2)[targets])
    less = Predictions(np.arange(20), targets, 0.1 + 0.8 * np.eye(2)[targets])
    got = compare([sure], [less], ACCURACY)
    assert (got.difference, got.p_value) == (0, 1)
    assert (got.low, got.high) == pytest.approx((-1.96 / 22, 1.96 / 22), abs=1e-3)


def test_agresti_min_by_hand():
    # b = 3, c = 1 of 20: d = 2/22, sqrt(5 - 4/22) / 22
    half = 1.959964 * np.sqrt(5 - 4 / 22) / 22
    assert agresti_min(2 / 20, 4 / 20, 20) == pytest.approx((2 / 22 - half, 2 / 22 + half))


def test_a_clear_difference_is_found_and_a_seed_alone_can_undo_it():
    assert compare(*discordant(60, 10, 300), ACCURACY).p_value < 0.001
    rng = np.random.default_rng(0)
    difficulty = rng.standard_normal(1000)
    good, bad = answers(rng, difficulty, 3, mean=2.0), answers(rng, difficulty, 3, mean=1.5)
    assert compare(binary(good), binary(bad), ACCURACY).p_value < 0.001
    bad[1] = good[0]
    bad[2, :] = True  # one seed of the second is perfect: which method is better is now open
    assert compare(binary(good), binary(bad), ACCURACY).p_value > 0.2


def test_p_is_never_zero_and_the_same_seed_gives_the_same_numbers():
    runs = discordant(100, 0, 100)
    first = compare(*runs, ACCURACY, permutations=99)
    assert first.p_value == 0.01
    assert first == compare(*runs, ACCURACY, permutations=99)


def test_what_is_refused():
    p = single(np.random.default_rng(0))
    with pytest.raises(ValueError, match="at least one run"):
        compare([p], [], ACCURACY)
    with pytest.raises(ValueError, match="paired"):
        compare([p], [p.take(np.arange(7))], ACCURACY)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_is_statsmodels(p_values):
    with mock.patch("gc.collect"):  # statsmodels asks for it each time: half a second in a process as large as this
        expected = multipletests(p_values, method="holm")[1]
    np.testing.assert_allclose(holm(p_values), expected)


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([]) == []


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    ("runs", "seed_sd", "allowed"),
    [
        (1, 0.0, 0.05),
        (3, 0.0, 0.05),
        (3, 0.05, 0.05),  # seeds differ by 0.4 points
        (3, 0.15, 0.06),  # by 1.2 points
        (5, 0.15, 0.06),
        (2, 0.15, 0.085),  # two seeds can't tell well how much seeds differ
    ],
)
def test_false_positives_and_power(runs, seed_sd, allowed):
    """Two methods equally good on 1000 examples, then one worse by 3 points (accuracy 87 %)."""
    rng, trials, false, found = np.random.default_rng(0), 1500, 0, 0
    for trial in range(trials):
        difficulty = 2 * rng.standard_normal(1000)
        a, b, c = (answers(rng, difficulty, runs, mean, seed_sd) for mean in (3.0, 3.0, 2.64))
        false += compare(binary(a), binary(b), ACCURACY, permutations=499, draws=200, seed=trial).p_value <= 0.05
        found += compare(binary(a), binary(c), ACCURACY, permutations=499, draws=200, seed=trial).p_value <= 0.05
    print(f"{runs} seeds, spread {seed_sd}: false positives {false / trials:.4f}, power {found / trials:.3f}")
    assert false / trials <= allowed + 2.5 * np.sqrt(0.05 * 0.95 / trials)


@pytest.mark.slow
def test_false_positives_of_macro_f1():
    rng, m, trials, false = np.random.default_rng(1), metric("single_label", "macro_f1"), 1000, 0
    for trial in range(trials):
        targets = rng.choice(4, size=200, p=[0.6, 0.2, 0.15, 0.05])
        a, b = scored(rng, targets, 4, 1.5), scored(rng, targets, 4, 1.5)
        false += compare([a], [b], m, permutations=499, draws=50, seed=trial).p_value <= 0.05
    print(f"macro-F1, 4 classes, 200 examples: false positives {false / trials:.4f}")
    assert false / trials <= 0.05 + 2.5 * np.sqrt(0.05 * 0.95 / trials)
