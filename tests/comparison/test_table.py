import dataclasses

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from headstart.comparison.rows.table import rows_with_differences
from headstart.comparison.verdict.verdict import verdict
from headstart.core.records.comparison import Row
from headstart.core.records.training import Stop
from headstart.stats.intervals import interval
from headstart.stats.metrics import metric
from headstart.stats.paired import compare
from headstart.stats.predictions import Predictions
from headstart.tasks.task import Task
from stats.simulated import real, scored

ACCURACY = metric("single_label", "accuracy")


@pytest.fixture
def table():
    rng = np.random.default_rng(0)
    targets = rng.integers(3, size=200)
    runs = {
        name: [scored(rng, targets, 3, skill) for _ in range(2)]
        for name, skill in (("lora", 3.0), ("full", 3.2), ("probe", 2.0), ("majority", 0.0))
    }
    rows = [
        Row("lora", "ok", "accuracy", validation_value=0.95, train_seconds=5.0),
        Row("bad", "diverged", "accuracy", validation_value=0.99),
        Row("full", "ok", "accuracy", validation_value=0.97, train_seconds=50.0),
        Row("probe", "ok", "accuracy", validation_value=0.9, train_seconds=1.0, notes=("kept",)),
        Row("majority", "ok", "accuracy", validation_value=0.98, train_seconds=0.0, control=True),
    ]
    return rows, runs


def test_rows_hold_the_statistics_of_their_predictions(table):
    rows, runs = table
    got = rows_with_differences(
        rows, runs, ACCURACY, task=Task("single_label", "text", ("a", "b", "c")), draws=300, permutations=300
    )
    assert [r.method for r in got] == [r.method for r in rows]
    assert got[1] == rows[1]
    by_name = {r.method: r for r in got}
    full = by_name["full"]
    assert (full.difference, full.difference_low, full.p_value, full.p_adjusted) == (0, 0, None, None)
    others = ["lora", "probe", "majority"]
    raw = []
    for name in others:
        row, test = by_name[name], compare(runs[name], runs["full"], ACCURACY, draws=300, permutations=300)
        assert (row.value, row.low, row.high) == interval(runs[name], ACCURACY, draws=300)
        assert (row.difference, row.difference_low, row.difference_high) == (test.difference, test.low, test.high)
        assert row.difference == pytest.approx(row.value - full.value)
        assert row.p_value == test.p_value
        raw.append(test.p_value)
    np.testing.assert_allclose([by_name[n].p_adjusted for n in others], multipletests(raw, method="holm")[1])
    assert by_name["probe"].notes == ("kept",)
    assert [c.label for c in full.classes] == ["a", "b", "c"]
    assert sum(c.support for c in full.classes) == 200
    assert np.sum(full.confusion) == 400
    assert np.trace(full.confusion) / 400 == pytest.approx(full.value)
    assert verdict(got, ACCURACY, test_size=200).method == "full"
    for row in got:
        assert Row.from_json(row.to_json()) == row


def test_a_row_without_predictions_is_left_alone(table):
    rows, runs = table
    del runs["full"]
    got = rows_with_differences(rows, runs, ACCURACY, draws=50, permutations=50)
    assert got[2] == rows[2]
    assert got[0].difference == 0  # the best of those that have some
    assert rows_with_differences(rows, {}, ACCURACY) == tuple(rows)
    assert rows_with_differences([], {}, ACCURACY) == ()


def test_runs_on_other_examples_are_refused(table):
    rows, runs = table
    runs["lora"] = [dataclasses.replace(p, ids=p.ids + 1) for p in runs["lora"]]
    with pytest.raises(ValueError, match="paired"):
        rows_with_differences(rows, runs, ACCURACY, draws=50, permutations=50)


def test_regression_has_no_classes():
    p = real(np.random.default_rng(0))
    row = Row("full", "ok", "rmse", validation_value=0.5)
    (got,) = rows_with_differences([row], {"full": [p]}, metric("regression"), draws=50)
    assert got.low < got.value < got.high
    assert (got.classes, got.confusion) == ((), ())


def test_what_the_verdict_needs_is_in_the_rows(table):
    """The standard error of each difference, and what the reference gains over a constant guess."""
    rows, runs = table
    got = {r.method: r for r in rows_with_differences(rows, runs, ACCURACY, draws=300, permutations=300)}
    test = compare(runs["lora"], runs["full"], ACCURACY, draws=300, permutations=300)
    error = got["lora"].standard_error
    assert (error.examples, error.seeds, error.unit, error.freedom) == (
        test.error, test.seed_error, test.unit, test.freedom,
    )  # fmt: skip
    assert got["full"].standard_error is None
    (gain,) = got["full"].gains
    share = np.bincount(runs["full"][0].targets).max() / 200
    assert (gain.metric, gain.guess) == ("accuracy", pytest.approx(share))
    assert gain.difference == pytest.approx(got["full"].value - share)
    assert not got["lora"].gains


def test_a_stopped_row_is_measured_and_never_the_reference(table):
    rows, runs = table
    rows[2] = dataclasses.replace(rows[2], status="stopped: after 11 %", stopped=Stop(1 / 9, "time"))
    got = {r.method: r for r in rows_with_differences(rows, runs, ACCURACY, draws=50, permutations=50)}
    assert got["lora"].difference == 0
    assert got["full"].value == pytest.approx(np.mean([ACCURACY.of(run) for run in runs["full"]]))
    assert got["full"].status == "stopped: after 11 %"
    assert got["full"].p_value is not None


def test_where_accuracy_shows_nothing_metrics_that_see_more_are_asked():
    """5 of 100 are positive and none is found, but they are ranked first: I3's pneumonia."""
    targets = np.array([1] * 5 + [0] * 95)
    chance = np.where(targets == 1, 0.45, np.linspace(0.01, 0.3, 100))
    found = Predictions(np.arange(100), targets, np.stack([1 - chance, chance], 1))
    row = Row("full", "ok", "accuracy", validation_value=0.95)
    (got,) = rows_with_differences([row], {"full": [found]}, ACCURACY)
    gains = {gain.metric: gain for gain in got.gains}
    assert gains["accuracy"].difference == 0
    assert (gains["auroc"].guess, gains["auroc"].difference) == (0.5, pytest.approx(0.5))
    said = verdict([got], ACCURACY, test_size=100).lines[0]
    assert said.startswith("By accuracy full is not shown to beat the most frequent class (95.0 % accuracy), but that")
    assert "--metric auroc" in said


def test_parts_have_their_own_differences_and_gains(table):
    rows, runs = table
    places = {"first": np.arange(120), "rest": np.arange(120, 200)}
    got = {r.method: r for r in rows_with_differences(rows, runs, ACCURACY, parts=places, draws=300, permutations=300)}
    for number, (name, rest) in enumerate(places.items()):
        mine, best = ([run.take(rest) for run in runs[method]] for method in ("probe", "full"))
        part, top, test = got["probe"].parts[number], got["full"].parts[number], compare(mine, best, ACCURACY)
        assert (part.name, part.difference) == (name, pytest.approx(test.difference))
        assert part.gain is None
        assert (top.difference, top.gain.guess) == (0, pytest.approx(np.bincount(best[0].targets).max() / len(rest)))


def test_by_f1_an_answer_at_random_beats_a_constant_one_and_is_no_gain():
    """Macro-F1 of a constant answer is 1/6 for three classes, of one at random 1/3: balanced accuracy is asked."""
    rng = np.random.default_rng(1)
    targets = np.arange(300) % 3
    blind = Predictions(np.arange(300), targets, rng.dirichlet(np.ones(3), size=300))
    row = Row("full", "ok", "macro_f1", validation_value=0.3)
    (got,) = rows_with_differences([row], {"full": [blind]}, metric("single_label", "macro_f1"), permutations=500)
    assert {gain.metric for gain in got.gains} == {"balanced_accuracy", "auroc", "average_precision"}
    assert got.gains[0].guess == pytest.approx(1 / 3)
    said = verdict([got], metric("single_label", "macro_f1"), test_size=300).lines[0]
    assert said.startswith("Not shown to beat the most frequent class: full,")


def test_several_labels_at_random_are_no_gain():
    rng = np.random.default_rng(2)
    targets = (rng.random((200, 3)) < 0.3).astype(np.float32)
    blind = Predictions(np.arange(200), targets, rng.random((200, 3)))
    row = Row("full", "ok", "micro_f1", validation_value=0.3)
    (got,) = rows_with_differences([row], {"full": [blind]}, metric("multi_label"), permutations=500)
    assert (got.gains[0].metric, got.gains[0].guess) == ("auroc", 0.5)
    assert verdict([got], metric("multi_label"), test_size=200).lines[0].startswith("Not shown to beat the same labels")


def test_a_part_on_which_the_metric_is_not_defined_is_no_part_at_chance():
    targets = np.array([0, 1] * 40 + [1] * 20)
    chance = np.where(targets == 1, 0.8, 0.3) + np.linspace(0, 0.1, 100)
    found = Predictions(np.arange(100), targets, np.stack([1 - chance, chance], 1))
    parts = {"mixed": np.arange(40), "more": np.arange(40, 80), "ones": np.arange(80, 100)}
    row = Row("full", "ok", "auroc", validation_value=0.9)
    auroc = metric("single_label", "auroc")
    (got,) = rows_with_differences([row], {"full": [found]}, auroc, parts=parts, permutations=500)
    said = " ".join(verdict([got], auroc, test_size=100).lines)
    assert "nan" not in said
    assert "At chance" not in said
    assert "ones" not in said
