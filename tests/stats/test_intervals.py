import math

import numpy as np
import pytest
from scipy import stats
from scipy.special import expit
from statsmodels.stats.proportion import proportion_confint

from headstart.stats import resampling
from headstart.stats.intervals import bootstrap, interval, wilson
from headstart.stats.metrics import METRICS, metric
from headstart.stats.predictions import Predictions
from stats.simulated import answers, binary, multi, real, scored, single

ACCURACY = metric("single_label")


def test_agrees_with_scipys_bootstrap():
    p = real(np.random.default_rng(0), n=200)
    m = metric("regression")
    value, low, high = interval([p], m, draws=20_000)
    error = (p.scores[:, 0] - p.targets).astype(float)
    rms = lambda x, axis: np.sqrt((x**2).mean(axis))  # noqa: E731
    theirs = stats.bootstrap((error,), rms, n_resamples=20_000, method="percentile", random_state=1).confidence_interval
    assert value == pytest.approx(m.of(p))
    assert (low, high) == pytest.approx((theirs.low, theirs.high), rel=0.01)


def test_accuracy_has_wilsons_interval():
    value, *ends = interval(binary(np.arange(1000)[None] < 800), ACCURACY)
    assert value == 0.8
    assert ends == pytest.approx(proportion_confint(800, 1000, method="wilson"))


@pytest.mark.parametrize(("right", "n"), [(20, 20), (0, 20), (499, 500), (500, 500), (1, 1)])
def test_near_the_ends_accuracy_holds_wilsons_interval(right, n):
    value, low, high = interval(binary(np.arange(n)[None] < right), ACCURACY)
    theirs = proportion_confint(right, n, method="wilson")
    assert value == right / n
    assert wilson(right / n, n) == pytest.approx(theirs)
    assert low <= theirs[0] + 1e-12
    assert high >= theirs[1] - 1e-12
    assert 0 <= low < high <= 1


@pytest.mark.parametrize("name", ["macro_f1", "balanced_accuracy", "micro_f1"])
def test_perfect_answers_are_not_certainty_and_rare_classes_say_so(name):
    m = metric("single_label", name)

    def low(counts):
        targets = np.repeat(np.arange(len(counts)), counts)
        return interval([Predictions(np.arange(len(targets)), targets, np.eye(len(counts))[targets])], m)[1]

    assert low([500, 500]) == pytest.approx(1000 / (1000 + 1.96**2), abs=1e-3)
    if name != "micro_f1":
        assert low([995, 5]) < 0.85


def test_perfect_multi_label_answers():
    targets = np.zeros((50, 3), dtype=np.float32)
    targets[:10, 0] = 1
    p = Predictions(np.arange(50), targets, targets)
    assert interval([p], metric("multi_label"))[1:] == pytest.approx((10 / (10 + 1.96**2), 1), abs=1e-3)


@pytest.mark.parametrize("kind", METRICS)
def test_every_metrics_interval_holds_its_value_and_keeps_to_its_bounds(kind):
    make = {"single_label": single, "multi_label": multi, "regression": real}[kind]
    first = make(np.random.default_rng(0), n=40)
    rng = np.random.default_rng(1)
    runs = [Predictions(first.ids, first.targets, np.clip(first.scores + 0.2 * rng.random(first.scores.shape), 0, 9))]
    runs = [first, *([] if kind != "regression" else runs)]
    for m in METRICS[kind].values():
        value, low, high = interval(runs, m, draws=500)
        assert m.bounds[0] <= low <= value <= high <= m.bounds[1]
        if not m.sizes:  # else noise is taken off the value
            assert value == pytest.approx(np.mean([m.of(run) for run in runs]))


def test_order_of_examples_and_chunks_do_not_matter(monkeypatch):
    rng, f1 = np.random.default_rng(0), metric("single_label", "macro_f1")
    first = single(rng, n=100)
    second = scored(rng, first.targets, 3)
    expected = interval([first, second], f1, draws=300)
    shuffled = second.take(rng.permutation(100))
    assert interval([first, shuffled], f1, draws=300) == expected
    monkeypatch.setattr(resampling, "_CELLS", 1700)
    assert list(resampling.chunks(40, 100)) == [17, 17, 6]
    assert interval([first, second], f1, draws=300) == expected
    assert interval([first, second], f1, draws=300, seed=1) != expected


def test_many_classes_take_the_sparse_path_to_the_same_values(monkeypatch):
    rng = np.random.default_rng(0)
    p, m = single(rng, n=300, classes=50), metric("single_label", "macro_f1")
    dense = bootstrap([m.statistics(p)], m, draws=50, seed=0)
    monkeypatch.setattr(resampling, "compact", lambda rows: resampling.sparse.csr_array(rows))
    np.testing.assert_allclose(bootstrap([m.statistics(p)], m, draws=50, seed=0), dense)


def test_seeds_that_differ_widen_the_interval():
    rng = np.random.default_rng(0)
    difficulty = rng.standard_normal(500)
    same = answers(rng, difficulty, runs=1)[[0, 0, 0]]
    apart = same.copy()
    apart[1, :100] = False
    one, alike, other = (interval(binary(runs), ACCURACY) for runs in (same[:1], same, apart))
    assert alike == pytest.approx(one, rel=1e-3)
    assert other[2] - other[1] > 3 * (one[2] - one[1])


def test_what_is_refused():
    p = single(np.random.default_rng(0))
    with pytest.raises(ValueError, match="at least one run"):
        interval([], ACCURACY)
    with pytest.raises(ValueError, match="paired"):
        interval([p, p.take(np.arange(5))], ACCURACY)
    value, low, high = interval([real(np.random.default_rng(0), n=1)], metric("regression"))
    assert value >= 0
    assert math.isnan(low)
    assert math.isnan(high)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    ("runs", "mean", "seed_sd", "at_least", "at_most"),
    [
        (1, 3.0, 0.0, 0.935, 0.965),  # accuracy 87 %
        (3, 3.0, 0.0, 0.935, 0.965),  # seeds alike
        (3, 3.0, 0.05, 0.935, 0.965),  # seeds differ by 0.4 points
        (3, 3.0, 0.15, 0.935, 0.965),  # by 1.2 points
        (5, 3.0, 0.15, 0.935, 0.965),
        (2, 3.0, 0.15, 0.925, 0.965),
        (1, 6.0, 0.0, 0.925, 0.975),  # accuracy 99 %: answers are counted, so that coverage jumps with it
    ],
)
def test_coverage(runs, mean, seed_sd, at_least, at_most):
    """How often the 95 % interval on 500 examples holds the accuracy on all examples and seeds."""
    population = np.random.default_rng(9).standard_normal((2, 400_000))
    truth = expit(mean + 2 * population[0] + seed_sd * population[1]).mean()
    rng, trials, held = np.random.default_rng(0), 2000, 0
    for trial in range(trials):
        correct = answers(rng, 2 * rng.standard_normal(500), runs, mean, seed_sd)
        _, low, high = interval(binary(correct), ACCURACY, draws=500, seed=trial)
        held += low <= truth <= high
    print(f"coverage, {runs} seeds, accuracy {truth:.3f}, spread {seed_sd}: {held / trials:.4f}")
    error = 2.6 * math.sqrt(0.05 * 0.95 / trials)
    assert at_least - error <= held / trials <= at_most + error


def test_wilsons_interval_holds_its_value() -> None:
    """At 0 and 1 too, where rounding would put an end a hair inside."""
    for n in range(1, 200):
        for share in (0.0, 1.0):
            low, high = wilson(share, n)
            assert low <= share <= high
